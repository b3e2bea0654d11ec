"""The coverage ledger of one optic: seconds received, analysed and masked, and the gaps with their reasons.

A second counts for a stage when at least one frame of it reached that stage. A gap is a stretch without any that is
longer than the tolerance. Both are kept per interval, never per frame. Unknown is never counted as seen.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stage(enum.Enum):
    """How far a frame came."""

    RECEIVED = "received"
    ANALYSED = "analysed"
    MASKED = "masked"


class Frames(enum.Enum):
    """What became of a frame."""

    RECEIVED = "received"
    ANALYSED = "analysed"
    MASKED = "masked"
    HELD_BACK = "held_back"
    SHED = "shed"


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Between two Unix times (seconds) no frame reached ``stage``, for ``reason``."""

    stage: Stage
    since: float
    until: float
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """What one optic saw between two Unix times (seconds).

    ``seconds`` never exceeds ``elapsed`` for any stage; ``elapsed`` less the received seconds is lost. ``frames`` are
    counts.
    """

    since: float
    until: float
    seconds: Mapping[Stage, float]
    gaps: tuple[Gap, ...]
    frames: Mapping[Frames, int]

    @property
    def elapsed(self) -> float:
        """Length of the interval, seconds."""
        return self.until - self.since

    @property
    def lost(self) -> float:
        """Seconds in which no frame was received."""
        return self.elapsed - self.seconds[Stage.RECEIVED]


@dataclasses.dataclass(slots=True)
class _Track:
    """One stage's account."""

    last_frame: float
    reason: str
    last_second: int | None = None
    interval_seconds: int = 0
    total_seconds: int = 0


class CoverageLedger:
    """Accumulates the coverage of one optic. Times are Unix seconds.

    Args:
        start: when the optic came under this ledger.
        tolerance: the longest time between two frames that is no gap, seconds; above the heartbeat of a still scene.
    """

    def __init__(self, start: float, tolerance: float = 3.0) -> None:
        self._tolerance = tolerance
        self._start = start
        self._since = start
        self._gaps: list[Gap] = []
        self._tracks = {stage: _Track(start, "connecting") for stage in Stage}
        self._interval_frames = dict.fromkeys(Frames, 0)
        self._total_frames = dict.fromkeys(Frames, 0)

    def on_frame(self, stage: Stage, now: float) -> None:
        """A frame reached ``stage`` at ``now``; one from before the interval is too late to count."""
        track = self._tracks[stage]
        if now < track.last_frame:
            return
        self._close_gap(stage, track, now)
        track.last_frame = now
        second = math.floor(now)
        if second != track.last_second:
            track.last_second = second
            track.interval_seconds += 1
            track.total_seconds += 1

    def count(self, frames: Frames, number: int) -> None:
        """So many frames met this fate."""
        self._interval_frames[frames] += number
        self._total_frames[frames] += number

    def explain(self, stage: Stage, reason: str) -> None:
        """If no frame reaches ``stage`` from now on, it is for ``reason``."""
        self._tracks[stage].reason = reason

    def total(self, now: float) -> Coverage:
        """The coverage since the start, without the list of gaps."""
        elapsed = max(0.0, now - self._start)
        seconds = {stage: min(float(track.total_seconds), elapsed) for stage, track in self._tracks.items()}
        return Coverage(self._start, self._start + elapsed, seconds, (), dict(self._total_frames))

    def close(self, now: float) -> Coverage:
        """The coverage of the interval up to ``now``; a new interval begins there."""
        now = max(now, self._since)
        for stage, track in self._tracks.items():
            self._close_gap(stage, track, now)
        elapsed = now - self._since
        seconds = {stage: min(float(track.interval_seconds), elapsed) for stage, track in self._tracks.items()}
        coverage = Coverage(self._since, now, seconds, tuple(self._gaps), self._interval_frames)
        self._interval_frames = dict.fromkeys(Frames, 0)
        self._since = now
        self._gaps.clear()
        for track in self._tracks.values():
            track.interval_seconds = 0
        return coverage

    def _close_gap(self, stage: Stage, track: _Track, now: float) -> None:
        if now - track.last_frame <= self._tolerance:
            return
        # A gap that began before this interval was told, up to there, by the interval before.
        self._gaps.append(Gap(stage, max(track.last_frame, self._since), now, track.reason))
