"""The coverage ledger: which seconds of an optic were received, analysed, masked, lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_TOUCHING = timedelta(seconds=1)
UNREPORTED_REASON = "NOT_REPORTED"

NOT_RECEIVED = 1
NOT_REPORTED = 4
"""Numbers of ``argo.camera_gateway.v1.Gap.Kind``."""
CLOCK_DRIFT = 8
"""Of ``HealthReport.Impairment``: the only one with which a picture still shows what it should."""


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
class Frames:
    """Frames by what became of them."""

    received: int = 0
    analysed: int = 0
    masked: int = 0
    held_back: int = 0
    shed: int = 0


@dataclass(frozen=True)
class Seconds:
    """Seconds by what happened in them, and the frames that came in them."""

    received: float = 0.0
    analysed: float = 0.0
    masked: float = 0.0
    lost: float = 0.0
    elapsed: float = 0.0
    frames: Frames = Frames()


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
class Impaired:
    """From ``start_time``, in UTC, something was wrong with the picture: a number of ``HealthReport.Impairment``."""

    impairment: int
    start_time: datetime
    duration: timedelta


@dataclass(frozen=True)
class Step:
    """The sums of the reports that began in one step of an interval, which begins at ``start_time``, in UTC."""

    start_time: datetime
    seconds: Seconds


@dataclass(frozen=True)
class OpticCoverage:
    """How one optic fared over an interval; all zero when nobody reported: unknown, which is not the same as quiet.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        seconds: the sums.
        gaps: what was missing, in the order of time; that nobody reported is a gap too.
        impairments: what was wrong at the last report.
        impaired: what was wrong, and when.
        steps: the sums by steps, if they were asked for.
    """

    optic: str
    seconds: Seconds = Seconds()
    gaps: tuple[Gap, ...] = ()
    impairments: tuple[int, ...] = ()
    impaired: tuple[Impaired, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def unknown(self) -> timedelta:
        """How long nobody reported."""
        return sum((gap.duration for gap in self.gaps if gap.kind == NOT_REPORTED), timedelta())

    @property
    def is_blind(self) -> bool:
        """Whether for a part of it there was no picture, nobody reported, or the picture showed nothing of use."""
        return any(gap.kind in (NOT_RECEIVED, NOT_REPORTED) for gap in self.gaps) or any(
            impaired.impairment != CLOCK_DRIFT for impaired in self.impaired
        )


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
