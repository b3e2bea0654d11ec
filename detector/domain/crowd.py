"""How dense a crowd is on the ground: its mean over ten seconds, its densest spot, its trend, and Fruin's words for it.

All of it counts the people whom the detector sees. Who is hidden behind others is not among them, so that from about
two persons per square metre on every figure here is a lower bound.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.ground_zone import GroundCells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from detector.domain.geometry import Point
    from detector.domain.ground_zone import GroundZone

WINDOW_SECONDS: Final = 10.0
LONGEST_STEP_SECONDS: Final = 2.5
"""A frame speaks for the time since the one before it, but for no more than this: a scene in which nothing moves is
looked at every two seconds."""
LEAST_KNOWN_SHARE: Final = 0.5
"""A mean is known when at least this share of its window was looked at."""
TREND_SECONDS: Final = 60.0
TREND_LEAST_SECONDS: Final = 20
"""A trend over less than this would be the noise of the counts."""
MISS_SECONDS: Final = 2.0
"""Whoever is seen again within this time was missed in between: for so long a tracker keeps what it does not see."""
MISS_MEMORY_SECONDS: Final = 60.0

_SQUARE_METRES: Final = 0.09290304
"""Of a square foot."""


class Scale(enum.Enum):
    """Which of Fruin's scales a place is read on."""

    WALKWAY = enum.auto()
    """People walk."""
    QUEUE = enum.auto()
    """People wait."""


SQUARE_FEET_PER_PERSON: Final[Mapping[Scale, tuple[float, ...]]] = {
    Scale.WALKWAY: (35.0, 25.0, 15.0, 10.0, 5.0),
    Scale.QUEUE: (13.0, 10.0, 7.0, 3.0, 2.0),
}
"""Where A ends and B begins, and so on to F (Fruin: Pedestrian Planning and Design, 1971, chapter 4)."""


def level_of_service(density: float, scale: Scale) -> str:
    """Fruin's level of service, "A" (room for all) to "F", of a density in persons per square metre."""
    passed = sum(density > 1.0 / (feet * _SQUARE_METRES) for feet in SQUARE_FEET_PER_PERSON[scale])
    return "ABCDEF"[passed]


class SlidingMean:
    """The mean of a number over the last ten seconds, weighted by the time for which each frame speaks."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque()
        self._last: float | None = None

    def step(self, time: float, value: float) -> float:
        """Take one frame; for how many seconds it speaks.

        Args:
            time: capture time, seconds; a step back begins anew.
            value: what is averaged.
        """
        if self._last is not None and time < self._last:
            self._samples.clear()
        seconds = 0.0 if self._last is None else min(max(0.0, time - self._last), LONGEST_STEP_SECONDS)
        self._last = time
        self._samples.append((time, seconds, value))
        while time - self._samples[0][0] >= WINDOW_SECONDS:
            self._samples.popleft()
        return seconds

    def mean(self) -> float | None:
        """None: too little of the window was looked at."""
        known = sum(seconds for _, seconds, _ in self._samples)
        if known < LEAST_KNOWN_SHARE * WINDOW_SECONDS:
            return None
        return sum(seconds * value for _, seconds, value in self._samples) / known


@dataclass(frozen=True, slots=True)
class Trend:
    """How a density changes.

    Attributes:
        slope: persons per square metre, per minute.
        error: one standard error of it.
    """

    slope: float
    error: float


@dataclass(frozen=True, slots=True)
class Density:
    """Persons per square metre of a zone's ground.

    Attributes:
        mean: over the zone and the last ten seconds.
        uncertainty: one standard error of it, of the area and of momentarily missed detections; not in it are people
            who are never detected.
        peak: the same mean in the densest block of cells.
        block_area: of such a block, square metres.
        trend: over the last minute; None: not looked at for long enough.
    """

    mean: float
    uncertainty: float
    peak: float
    block_area: float
    trend: Trend | None


class DensityMeter:
    """Measures the density of one zone.

    Args:
        zone: its ground.
    """

    def __init__(self, zone: GroundZone) -> None:
        self._zone = zone
        self._mean = SlidingMean()
        self._cells = GroundCells(zone)
        self._placed: deque[tuple[float, float, npt.NDArray[np.intp]]] = deque()
        self._trend = _TrendFit()
        self._misses = _Misses()

    def step(self, time: float, people: Mapping[int, Point]) -> None:
        """Take one analysed frame.

        Args:
            time: capture time, seconds.
            people: who is in the zone: track -> metres east and north.
        """
        seconds = self._mean.step(time, float(len(people)))
        self._place(time, seconds, list(people.values()))
        self._trend.step(time, seconds, len(people) / self._zone.area)
        self._misses.step(time, seconds, people)

    @property
    def mean(self) -> float | None:
        """Persons per square metre over the last ten seconds; None: too little of them was looked at."""
        count = self._mean.mean()
        return None if count is None else count / self._zone.area

    def density(self) -> Density | None:
        """All that is known; None as for `mean`."""
        mean = self.mean
        if mean is None:
            return None
        known = sum(seconds for _, seconds, _ in self._placed)
        return Density(
            mean=mean,
            uncertainty=mean * math.hypot(self._zone.area_error / self._zone.area, self._misses.share()),
            peak=self._cells.peak() / known,
            block_area=self._cells.block_area,
            trend=self._trend.fit(),
        )

    def _place(self, time: float, seconds: float, positions: Sequence[Point]) -> None:
        if self._placed and time < self._placed[-1][0]:
            self._placed.clear()
            self._cells.presence[:] = 0.0
        cells = self._cells.cells(positions)
        np.add.at(self._cells.presence, cells, seconds)
        self._placed.append((time, seconds, cells))
        while time - self._placed[0][0] >= WINDOW_SECONDS:
            _, gone, cells = self._placed.popleft()
            np.subtract.at(self._cells.presence, cells, gone)


class IntervalDensity:
    """The density of one zone from one report of the counts to the next; see ZoneCount of argo.detector.v1.

    Args:
        zone: its ground.
    """

    def __init__(self, zone: GroundZone) -> None:
        self._area = zone.area
        self._window = SlidingMean()
        self._person_seconds = self._seconds = self._maximum = 0.0

    def step(self, time: float, persons: int) -> None:
        """Take one analysed frame.

        Args:
            time: capture time, seconds.
            persons: how many are in the zone.
        """
        seconds = self._window.step(time, float(persons))
        self._person_seconds += persons * seconds
        self._seconds += seconds
        self._maximum = max(self._maximum, self._window.mean() or 0.0)

    def collect(self) -> tuple[float, float]:
        """Persons per square metre since the last call: the mean, and the most over ten seconds.

        Of those ten seconds a part may lie before that call. 0: nobody, or nothing was looked at.
        """
        mean = self._person_seconds / self._seconds / self._area if self._seconds else 0.0
        maximum = self._maximum / self._area
        self._person_seconds = self._seconds = self._maximum = 0.0
        return mean, maximum


class _Misses:
    """How often people are missed for a moment: those who are seen before and after it under the same track."""

    def __init__(self) -> None:
        self._time = 0.0
        self._frames = 0
        self._seen: dict[int, tuple[float, int]] = {}
        self._hits = self._missed = 0.0

    def step(self, time: float, seconds: float, people: Mapping[int, Point]) -> None:
        fading = math.exp(-seconds / MISS_MEMORY_SECONDS)
        self._hits, self._missed = self._hits * fading, self._missed * fading
        self._frames += 1
        for track in people:
            last_time, last_frame = self._seen.get(track, (time, self._frames - 1))
            self._missed += self._frames - 1 - last_frame if 0.0 <= time - last_time <= MISS_SECONDS else 0
            self._hits += 1.0
            self._seen[track] = (time, self._frames)
        self._seen = {track: seen for track, seen in self._seen.items() if 0.0 <= time - seen[0] <= MISS_SECONDS}

    def share(self) -> float:
        total = self._hits + self._missed
        return self._missed / total if total else 0.0


class _TrendFit:
    """A straight line through the mean densities of the last seconds.

    Counts of neighbouring seconds are alike, so that the standard error is that of as many independent values as their
    first autocorrelation leaves (Santer and others: Journal of Geophysical Research 105, 2000, section 4).
    """

    def __init__(self) -> None:
        self._seconds: deque[list[float]] = deque()

    def step(self, time: float, seconds: float, density: float) -> None:
        second = math.floor(time)
        if self._seconds and second < self._seconds[-1][0]:
            self._seconds.clear()
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0.0, 0.0])
        self._seconds[-1][1] += seconds
        self._seconds[-1][2] += seconds * density
        while second - self._seconds[0][0] >= TREND_SECONDS:
            self._seconds.popleft()

    def fit(self) -> Trend | None:
        rows = [(second, total / known) for second, known, total in self._seconds if known > 0.0]
        if len(rows) < TREND_LEAST_SECONDS:
            return None
        times, values = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
        from_mean = times - times.mean()
        spread = float((from_mean**2).sum())
        slope = float((from_mean * values).sum()) / spread
        left = values - values.mean() - slope * from_mean
        scatter = float((left**2).sum())
        alike = max(0.0, float((left[1:] * left[:-1]).sum()) / scatter) if scatter > 0.0 else 0.0
        independent = max(len(rows) * (1.0 - alike) / (1.0 + alike), 3.0)
        error = math.sqrt(scatter / (independent - 2.0) / spread)
        return Trend(60.0 * slope, 60.0 * error)
