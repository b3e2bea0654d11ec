"""Counts over lines and in zones, by class and interval (ONVIF tns1:RuleEngine/CountAggregation)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain import geometry
from detector.domain.rules.line_crossing import Crossing, Direction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector.domain.detections import ObjectClass
    from detector.domain.scene import Places, Scene

LONGEST_STEP_SECONDS: Final = 1.0
"""A frame speaks for the time since the one before it, but for no more than this: the rest was not analysed."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """Crossings of one line by one class."""

    line: str
    object_class: ObjectClass
    left_to_right: int
    right_to_left: int


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """Presence of one class in one zone: its mean over the analysed time, and its peak."""

    zone: str
    object_class: ObjectClass
    mean_occupancy: float
    maximum_occupancy: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The counts of one interval.

    Attributes:
        start_time: seconds since the epoch.
        interval: its length, seconds.
        analysed: how much of it was analysed, seconds; without it a count means nothing.
        lines: only lines and classes that were crossed.
        zones: only zones and classes that were present.
    """

    start_time: float
    interval: float
    analysed: float
    lines: tuple[LineCount, ...]
    zones: tuple[ZoneCount, ...]


class FlowCounter:
    """Counts for one optic."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._last = 0.0
        self._clear()

    def step(self, scene: Scene, places: Places, crossings: dict[str, list[Crossing]]) -> None:
        """Take one analysed frame and, by line, the crossings that it completed."""
        if self._start is None:
            self._start = self._last = scene.time
        seconds = min(max(0.0, scene.time - self._last), LONGEST_STEP_SECONDS)
        self._last = max(self._last, scene.time)
        self._analysed += seconds
        for line, crossed in crossings.items():
            for crossing in crossed:
                self._lines[line, crossing.presence.object_class][crossing.direction] += 1
        for name, corners in places.zones.items():
            zone = geometry.scaled(corners, scene.width, scene.height)
            inside = (item.object_class for item in scene.present if geometry.inside(item.foot, zone))
            self._present(name, inside, seconds)

    def collect(self) -> Flow | None:
        """The counts since the last call; None when no time was analysed."""
        if self._start is None or self._last <= self._start:
            return None
        flow = Flow(
            start_time=self._start,
            interval=self._last - self._start,
            analysed=self._analysed,
            lines=tuple(
                LineCount(line, kind, count[Direction.LEFT_TO_RIGHT], count[Direction.RIGHT_TO_LEFT])
                for (line, kind), count in sorted(self._lines.items())
            ),
            zones=tuple(
                ZoneCount(zone, kind, self._seconds[zone, kind] / self._analysed, peak)
                for (zone, kind), peak in sorted(self._peaks.items())
            ),
        )
        self._start = self._last
        self._clear()
        return flow

    def _present(self, zone: str, classes: Iterable[ObjectClass], seconds: float) -> None:
        for kind, number in Counter(classes).items():
            self._seconds[zone, kind] += number * seconds
            self._peaks[zone, kind] = max(self._peaks[zone, kind], number)

    def _clear(self) -> None:
        self._analysed = 0.0
        self._lines: defaultdict[tuple[str, ObjectClass], Counter[Direction]] = defaultdict(Counter)
        self._seconds: defaultdict[tuple[str, ObjectClass], float] = defaultdict(float)
        self._peaks: defaultdict[tuple[str, ObjectClass], int] = defaultdict(int)
