"""The bus's counts as domain values."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Final, TypeVar

from alerting import contracts
from alerting.domain.flows.reports import Counted, FlowReport, NearMissed, Turned
from alerting.domain.retention import expiry
from alerting.domain.tokens import invalid
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2

LONGEST_ANALYSED: Final = timedelta(seconds=65)
"""Of one report: a minute, and what a frame at its end speaks for."""
_MOST: Final = 1_000_000
"""Objects that no report can hold."""
_ITEM: Final = re.compile(r"devices/[a-z0-9-]+/optics/[a-z0-9-]+/(lines|zones)/[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")

T = TypeVar("T")


def flow_report(batch: bus_pb2.FlowBatch, received: datetime) -> FlowReport:
    """The counts of one optic and one interval from the bus.

    Raises:
        InvalidArgument: names, times or numbers that cannot be.
    """
    start = contracts.time_of(batch, "start_time")
    analysed = contracts.duration_of(batch, "analysed")
    if analysed > LONGEST_ANALYSED:
        raise invalid("analysed", "is longer than a minute: the detector's flow interval must be a minute at most")
    optic = contracts.optic_name(batch.optic)
    seconds = analysed.total_seconds()
    counted = [_line(item, optic) for item in batch.lines]
    counted += [_zone(item, optic, seconds) for item in batch.zones]
    return FlowReport(
        optic=optic,
        site=contracts.site_name(batch.site),
        start_time=start,
        analysed_seconds=seconds,
        light_seconds=_number(batch.light_level, "light_level", 1.0) * seconds,
        expire_time=expiry(start, received),
        counted=_unique(counted, [(item.place, item.object_class) for item in counted], "lines or zones"),
        turned=_turned(batch, optic),
        near_missed=_near_missed(batch, optic),
    )


def place_name(name: str, field: str = "places") -> str:
    """``sites/{site}``, ``.../lines/{line}`` or ``.../zones/{zone}``.

    Raises:
        InvalidArgument: it is none of them.
    """
    if name.startswith("sites/"):
        return contracts.site_name(name, field)
    if _ITEM.fullmatch(name) is None:
        raise invalid(field, "holds a name that is neither of a site nor of a line or zone")
    return name


def _line(item: bus_pb2.FlowBatch.LineCount, optic: str) -> Counted:
    measured = _count(item.measured, "lines.measured")
    return Counted(
        place=_place(item.line, optic, "lines"),
        object_class=_class(item.object_class),
        left_to_right=_count(item.left_to_right, "lines.left_to_right"),
        right_to_left=_count(item.right_to_left, "lines.right_to_left"),
        measured=measured,
        speed_sum=_number(item.mean_speed, "lines.mean_speed", 200.0) * measured,
    )


def _zone(item: bus_pb2.FlowBatch.ZoneCount, optic: str, seconds: float) -> Counted:
    return Counted(
        place=_place(item.zone, optic, "zones"),
        object_class=_class(item.object_class),
        present_seconds=_number(item.mean_occupancy, "zones.mean_occupancy", _MOST) * seconds,
        maximum_present=_count(item.maximum_occupancy, "zones.maximum_occupancy"),
        density_seconds=_number(item.mean_density, "zones.mean_density", _MOST) * seconds,
        maximum_density=_number(item.maximum_density, "zones.maximum_density", _MOST),
    )


def _turned(batch: bus_pb2.FlowBatch, optic: str) -> tuple[Turned, ...]:
    turned = [
        Turned(
            _place(item.from_line, optic, "lines"), _place(item.to_line, optic, "lines"), _class(item.object_class),
            _count(item.count, "turns.count"),
        )
        for item in batch.turns
    ]  # fmt: skip
    return _unique(turned, [(item.from_line, item.to_line, item.object_class) for item in turned], "turns")


def _near_missed(batch: bus_pb2.FlowBatch, optic: str) -> tuple[NearMissed, ...]:
    # Two rules may count conflicts in one zone: the more attentive one is kept.
    kept: dict[str, NearMissed] = {}
    for item in batch.near_misses:
        value = NearMissed(
            _place(item.zone, optic, "zones"),
            _count(item.time_to_collision, "near_misses.time_to_collision"),
            _count(item.post_encroachment, "near_misses.post_encroachment"),
        )
        before = kept.get(value.zone, value)
        kept[value.zone] = NearMissed(
            value.zone,
            max(before.time_to_collision, value.time_to_collision),
            max(before.post_encroachment, value.post_encroachment),
        )
    return tuple(kept.values())


def _place(name: str, optic: str, kind: str) -> str:
    match = _ITEM.fullmatch(name)
    if match is None or match[1] != kind or not name.startswith(f"{optic}/"):
        raise invalid(kind, "holds a name that is not of the optic")
    return name


def _class(number: int) -> int:
    """A class of the allow-list; what this version does not know is counted as not said."""
    return number if number in object_class_pb2.ObjectClass.values() else 0


def _count(value: int, field: str) -> int:
    if value > _MOST:
        raise invalid(field, f"must be at most {_MOST}")
    return value


def _number(value: float, field: str, most: float) -> float:
    if not (math.isfinite(value) and 0.0 <= value <= most):
        raise invalid(field, f"must lie between 0 and {most:g}")
    return value


def _unique(items: list[T], keys: list[tuple[object, ...]], field: str) -> tuple[T, ...]:
    if len(set(keys)) != len(keys):
        raise invalid(field, "name one place and class twice")
    return tuple(items)
