"""Observations from the bus as domain values."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from alerting import contracts
from alerting.domain.observations import MOST_AHEAD, Observation, signed
from alerting.domain.retention import expiry
from alerting.domain.search.features import Features, PathPoint, describe
from alerting.domain.tokens import invalid
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.errors import InvalidArgument

VEHICLES: Final = frozenset(
    {
        classes.OBJECT_CLASS_CAR, classes.OBJECT_CLASS_MOTORCYCLE, classes.OBJECT_CLASS_BUS, classes.OBJECT_CLASS_TRAIN,
        classes.OBJECT_CLASS_TRUCK,
    }
)  # fmt: skip
"""What may have a colour."""
_MOST_PLACES: Final = 64


def observations(
    batch: bus_pb2.ObservationBatch, received: datetime, reject: Callable[[InvalidArgument], None]
) -> list[Observation]:
    """The observations of a batch.

    Args:
        batch: from the bus.
        received: when the bus took it, in UTC; the same whenever it is delivered again.
        reject: is told of each that has no valid times; it is left out, and the rest need not suffer.

    Raises:
        InvalidArgument: the batch itself has no valid names.
    """
    optic, site = contracts.optic_name(batch.optic), contracts.site_name(batch.site)
    found = []
    for item in batch.observations:
        try:
            found.append(_observation(item, optic, site, received))
        except InvalidArgument as error:
            reject(error)
    return found


def _observation(item: bus_pb2.Observation, optic: str, site: str, received: datetime) -> Observation:
    start, end = contracts.time_of(item, "start_time"), contracts.time_of(item, "end_time")
    if start > received + MOST_AHEAD:
        raise invalid("start_time", "lies more than a day after its arrival")
    number = _known(classes.ObjectClass, item.object_class)
    confidence = item.vehicle_colour_confidence if number in VEHICLES else 0.0
    return Observation(
        optic=optic,
        site=site,
        track=signed(item.track),
        object_class=number,
        start_time=start,
        end_time=max(start, end),
        finished=item.finished,
        expire_time=expiry(start, received),
        payload=_payload(item, number),
        features=_features(item, number),
        colour=_known(bus_pb2.VehicleColour, item.vehicle_colour) if number in VEHICLES else 0,
        colour_confidence=confidence if 0.0 <= confidence <= 1.0 else 0.0,
        places=tuple(_places(item, optic)),
    )


def _payload(item: bus_pb2.Observation, number: int) -> bytes:
    """What the detector said, without what may not be said of a person, whatever the detector said."""
    kept = item
    if number not in VEHICLES and (item.vehicle_colour or item.HasField("speed")):
        kept = bus_pb2.Observation()
        kept.CopyFrom(item)
        kept.ClearField("vehicle_colour")
        kept.ClearField("vehicle_colour_confidence")
        if number in (classes.OBJECT_CLASS_PERSON, classes.OBJECT_CLASS_UNSPECIFIED):
            kept.ClearField("speed")
    return kept.SerializeToString(deterministic=True)


def _features(item: bus_pb2.Observation, number: int) -> Features:
    may_have_speed = number not in (classes.OBJECT_CLASS_PERSON, classes.OBJECT_CLASS_UNSPECIFIED)
    speed = (item.speed.metres_per_second, item.speed.heading_degrees % 360.0) if item.HasField("speed") else None
    if not may_have_speed or (speed is not None and not _finite(*speed)):
        speed = None
    path = [_point(point) for point in item.path]
    return describe(path, _seconds(item.end_time), may_have_speed=may_have_speed, reported=speed)


def _point(point: bus_pb2.Observation.PathPoint) -> PathPoint:
    east, north = point.ground.east_metres, point.ground.north_metres
    ground = (east, north) if point.HasField("ground") and _finite(east, north) else None
    return PathPoint(_seconds(point.time), (point.image.x, point.image.y), ground)


def _places(item: bus_pb2.Observation, optic: str) -> list[str]:
    """Zones and lines of the optic, without its own name."""
    prefix = f"{optic}/"
    names = [name.removeprefix(prefix) for name in (*item.zones, *item.lines) if name.startswith(prefix)]
    return sorted({name for name in names if contracts.is_place(name)})[:_MOST_PLACES]


def _finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def _known(enum: Any, number: int) -> int:
    """A number of an enumeration, or 0 for one that this version does not know."""
    return number if number in enum.values() else 0


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
