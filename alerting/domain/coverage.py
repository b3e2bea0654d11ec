"""The coverage ledger: which seconds of an optic were received, analysed, masked, lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_TOUCHING = timedelta(seconds=1)
UNREPORTED_REASON = "NOT_REPORTED"
UNRECORDED_REASON = "NOT_RECORDED"

Span = tuple[datetime, datetime]
"""From when until when, in UTC."""

NOT_RECEIVED = 1
NOT_REPORTED = 4
NOT_RECORDED = 5
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
    """The sums of the reports that began in one step of an interval, which begins at ``start_time``, in UTC.

    ``recorded`` is how many of its seconds are recorded; none: that is not known.
    """

    start_time: datetime
    seconds: Seconds
    recorded: float | None = None


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
        recorded: of how many seconds a recording is kept; none: that is not known.
    """

    optic: str
    seconds: Seconds = Seconds()
    gaps: tuple[Gap, ...] = ()
    impairments: tuple[int, ...] = ()
    impaired: tuple[Impaired, ...] = ()
    steps: tuple[Step, ...] = ()
    recorded: float | None = None

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


def with_recordings(
    coverage: OpticCoverage, recorded: Sequence[Span], asked: Span, known_until: datetime, step: timedelta | None
) -> OpticCoverage:
    """The same with what is recorded of it; what is not is a gap.

    Args:
        coverage: of one optic.
        recorded: its unbroken recordings, in their order; they may overlap, and reach beyond what was asked.
        asked: the interval that it is about.
        known_until: what is later than this may be on its way to the recording yet, and is no gap.
        step: of its steps.
    """
    spans = _joined(span for span in (_within(each, asked) for each in recorded) if span is not None)
    gaps, position = [], asked[0]
    for start, end in [*spans, (max(asked[0], min(asked[1], known_until)),) * 2]:
        if start > position:
            gaps.append(Gap(position, start - position, NOT_RECORDED, UNRECORDED_REASON))
        position = max(position, end)
    steps = coverage.steps if step is None else tuple(_recorded_step(each, spans, step) for each in coverage.steps)
    everything = sorted([*coverage.gaps, *gaps], key=lambda gap: gap.start_time)
    return replace(coverage, gaps=tuple(everything), steps=steps, recorded=_length(spans))


def _recorded_step(step: Step, spans: Sequence[Span], length: timedelta) -> Step:
    window = step.start_time, step.start_time + length
    return replace(step, recorded=_length([part for part in (_within(span, window) for span in spans) if part]))


def _within(span: Span, window: Span) -> Span | None:
    start, end = max(span[0], window[0]), min(span[1], window[1])
    return (start, end) if start < end else None


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _length(spans: Iterable[Span]) -> float:
    return sum((end - start).total_seconds() for start, end in spans)
