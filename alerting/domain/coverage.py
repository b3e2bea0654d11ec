"""The coverage ledger: which seconds of an optic were received, analysed, masked, lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_TOUCHING = timedelta(seconds=1)


@dataclass(frozen=True)
class Gap:
    """A stretch of time without something.

    Attributes:
        start_time: from when, in UTC.
        duration: how long.
        kind: what was missing, a number of ``argo.camera_gateway.v1.Gap.Kind``.
        reason: why; a constant in capitals.
    """

    start_time: datetime
    duration: timedelta
    kind: int
    reason: str


@dataclass(frozen=True)
class Seconds:
    """Seconds by what happened in them."""

    received: float = 0.0
    analysed: float = 0.0
    masked: float = 0.0
    lost: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True)
class Report:
    """How an optic fared in one interval, as its gateway reports it.

    Attributes:
        report_id: the same in every redelivery.
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``.
        replica: the gateway replica that says so.
        start_time: the interval's start, in UTC.
        interval: the interval's length.
        seconds: what happened in it.
        gaps: what was missing in it.
        impairments: what is wrong with the picture, numbers of ``HealthReport.Impairment``.
        expire_time: when it is erased.
    """

    report_id: uuid.UUID
    optic: str
    site: str
    replica: str
    start_time: datetime
    interval: timedelta
    seconds: Seconds
    gaps: tuple[Gap, ...]
    impairments: tuple[int, ...]
    expire_time: datetime


@dataclass(frozen=True)
class OpticCoverage:
    """How one optic fared over an interval; all zero when nobody reported: unknown, which is not the same as quiet."""

    optic: str
    seconds: Seconds = Seconds()
    gaps: tuple[Gap, ...] = ()
    impairments: tuple[int, ...] = ()


def merge_gaps(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Joins gaps of one optic that go on from one report to the next.

    Args:
        gaps: in any order.

    Returns:
        In the order of their starts; two of the same kind and reason that touch within a second are one.
    """
    merged: list[Gap] = []
    latest: dict[tuple[int, str], int] = {}
    for gap in sorted(gaps, key=lambda gap: gap.start_time):
        index = latest.get((gap.kind, gap.reason))
        if index is not None:
            before = merged[index]
            end = before.start_time + before.duration
            if gap.start_time <= end + _TOUCHING:
                merged[index] = replace(before, duration=max(end, gap.start_time + gap.duration) - before.start_time)
                continue
        latest[gap.kind, gap.reason] = len(merged)
        merged.append(gap)
    return tuple(merged)
