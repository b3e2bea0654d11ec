"""Counts over lines, between lines and in zones, by class and interval (ONVIF tns1:RuleEngine/CountAggregation)."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass
from detector.domain.rules.line_crossing import Crossing, Direction
from detector.domain.trails import MAXIMUM_SPEED_ERROR, SPEED_WINDOW_SECONDS
from detector.domain.turning import TurnCount, TurnCounter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from detector.domain.geometry import Flags
    from detector.domain.rules.near_miss import NearMissCount
    from detector.domain.scene import Scene

LONGEST_STEP_SECONDS: Final = 2.5
"""A frame speaks for the time since the one before it, but for no more than this: the rest was not analysed. A scene in
which nothing moves is looked at every two seconds, and that nothing crossed it is known."""
_CLASSES: Final = (None, *sorted(ObjectClass))
UNDONE_SECONDS: Final = 1.0
"""Whoever crosses back within this time has swayed on the line; a crossing is counted once it has stood for so long."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """Crossings of one line by one class.

    Attributes:
        line: resource name.
        object_class: what crossed.
        left_to_right: how many.
        right_to_left: how many.
        mean_speed: of those that were measured, metres per second (the time-mean speed of traffic engineering).
        measured: how many were; 0: the optic is not calibrated, or they were too far away.
    """

    line: str
    object_class: ObjectClass
    left_to_right: int
    right_to_left: int
    mean_speed: float = 0.0
    measured: int = 0


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """Presence of one class in one zone.

    Attributes:
        zone: resource name.
        object_class: what was there.
        mean_occupancy: how many, over the analysed time.
        maximum_occupancy: how many at once.
        mean_density: of persons only, per square metre; 0: the zone's area is not known.
        maximum_density: the largest over ten seconds, likewise.
    """

    zone: str
    object_class: ObjectClass
    mean_occupancy: float
    maximum_occupancy: int
    mean_density: float = 0.0
    maximum_density: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """The counts of one interval.

    Attributes:
        start_time: seconds since the epoch.
        interval: its length, seconds.
        analysed: how much of it was analysed, seconds; without it a count means nothing.
        lines: only lines and classes that were crossed.
        zones: only zones and classes that were present.
        turns: only pairs of lines that were crossed one after the other.
        near_misses: of every rule that counts them.
        light_level: how bright the picture was, on average, 0 (black) to 1 (white); 0, too, when none was looked at.
    """

    start_time: float
    interval: float
    analysed: float
    lines: tuple[LineCount, ...]
    zones: tuple[ZoneCount, ...]
    turns: tuple[TurnCount, ...] = ()
    near_misses: tuple[NearMissCount, ...] = ()
    light_level: float = 0.0


@dataclass(slots=True)
class _Crossed:
    """A crossing that is not counted yet."""

    time: float
    crossing: Crossing
    measured: bool = False
    speed: float | None = None


class FlowCounter:
    """Counts for one optic."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._last = 0.0
        self._turns = TurnCounter()
        self._crossed: defaultdict[str, list[_Crossed]] = defaultdict(list)
        self._clear()

    def step(
        self,
        scene: Scene,
        crossings: Mapping[str, Sequence[Crossing]],
        occupants: Mapping[str, Flags],
    ) -> None:
        """Take one analysed frame.

        Args:
            scene: the frame.
            crossings: by line, those that it completed.
            occupants: by zone, who of those present stands in it.
        """
        if self._start is None:
            self._start = self._last = scene.time
        seconds = min(max(0.0, scene.time - self._last), LONGEST_STEP_SECONDS)
        self._last = max(self._last, scene.time)
        self._analysed += seconds
        if scene.picture is not None:
            self._light.append(scene.picture.light_level)
        self._settle(scene.time)
        for line, found in crossings.items():
            for crossing in found:
                self._cross(line, crossing, scene.time)
        self._measure(scene)
        self._turns.step(crossings, scene.ended)
        for zone, inside in occupants.items():
            self._present(zone, scene.classes[inside], seconds)

    def collect(
        self,
        near_misses: tuple[NearMissCount, ...] = (),
        densities: Mapping[str, tuple[float, float]] | None = None,
    ) -> Flow | None:
        """The counts since the last call; None when no time was analysed.

        Args:
            near_misses: those of the same time.
            densities: zone -> mean and largest density of the same time; a zone whose area is not known is missing.
        """
        if self._start is None or self._last <= self._start:
            return None
        flow = Flow(
            start_time=self._start,
            interval=self._last - self._start,
            analysed=self._analysed,
            lines=tuple(self._line_count(*key) for key in sorted(self._lines)),
            zones=tuple(self._zone_count(*key, densities or {}) for key in sorted(self._peaks)),
            turns=self._turns.collect(),
            near_misses=near_misses,
            light_level=statistics.fmean(self._light) if self._light else 0.0,
        )
        self._start = self._last
        self._clear()
        return flow

    def finish(self) -> None:
        """Count the crossings that nobody can undo any more, as when the stream ends."""
        self._settle(math.inf)

    def _cross(self, line: str, crossing: Crossing, time: float) -> None:
        waiting = self._crossed[line]
        for before in waiting:
            same = before.crossing.presence.track == crossing.presence.track
            if same and before.crossing.direction is not crossing.direction:
                waiting.remove(before)
                return
        waiting.append(_Crossed(time, crossing))

    def _measure(self, scene: Scene) -> None:
        """Give those who have crossed their speeds: at once, or when they were seen for long enough to have one."""
        for crossed in itertools.chain.from_iterable(self._crossed.values()):
            if crossed.measured:
                continue
            movement = scene.movement(crossed.crossing.presence.track, SPEED_WINDOW_SECONDS)
            if movement:
                crossed.measured = True
                crossed.speed = movement.speed if movement.speed_error <= MAXIMUM_SPEED_ERROR else None

    def _settle(self, now: float) -> None:
        """Count the crossings that were not undone; those of a clock that was set back too."""
        for line, waiting in self._crossed.items():
            for crossed in [each for each in waiting if not 0.0 <= now - each.time < UNDONE_SECONDS]:
                waiting.remove(crossed)
                key = line, crossed.crossing.presence.object_class
                self._lines[key][crossed.crossing.direction] += 1
                if crossed.speed is not None:
                    self._speeds[key].append(crossed.speed)

    def _line_count(self, line: str, kind: ObjectClass) -> LineCount:
        count, speeds = self._lines[line, kind], self._speeds[line, kind]
        mean = sum(speeds) / len(speeds) if speeds else 0.0
        return LineCount(line, kind, count[Direction.LEFT_TO_RIGHT], count[Direction.RIGHT_TO_LEFT], mean, len(speeds))

    def _zone_count(self, zone: str, kind: ObjectClass, densities: Mapping[str, tuple[float, float]]) -> ZoneCount:
        dense = densities.get(zone, (0.0, 0.0)) if kind is ObjectClass.PERSON else (0.0, 0.0)
        return ZoneCount(zone, kind, self._seconds[zone, kind] / self._analysed, self._peaks[zone, kind], *dense)

    def _present(self, zone: str, classes: npt.NDArray[np.int16], seconds: float) -> None:
        numbers = np.bincount(classes, minlength=len(_CLASSES)).tolist()
        for kind, number in zip(_CLASSES, numbers, strict=True):
            if not number or kind is None:
                continue
            self._seconds[zone, kind] += number * seconds
            self._peaks[zone, kind] = max(self._peaks[zone, kind], number)

    def _clear(self) -> None:
        self._light: list[float] = []
        self._analysed = 0.0
        self._lines: defaultdict[tuple[str, ObjectClass], Counter[Direction]] = defaultdict(Counter)
        self._speeds: defaultdict[tuple[str, ObjectClass], list[float]] = defaultdict(list)
        self._seconds: defaultdict[tuple[str, ObjectClass], float] = defaultdict(float)
        self._peaks: defaultdict[tuple[str, ObjectClass], int] = defaultdict(int)
