"""What each track did, in a form that is small enough to publish every few seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from detector.domain import geometry

if TYPE_CHECKING:
    from detector.domain.detections import ObjectClass
    from detector.domain.geometry import Point
    from detector.domain.rules.line_crossing import Crossing
    from detector.domain.scene import Places, Presence, Scene

PATH_POINTS: Final = 64
"""A path that grows beyond this loses every second point: a parked car's message stays as small as a walker's."""
PATH_STEP_HEIGHTS: Final = 0.5
"""A new point every time that an object has moved by this much of its height."""


@dataclass(frozen=True, slots=True)
class PathPoint:
    """Where a track was.

    Attributes:
        time: seconds since the epoch.
        foot: normalised.
    """

    time: float
    foot: Point


@dataclass(frozen=True, slots=True)
class Observation:
    """One track, whole, up to now: a lost message is made good by the next one.

    Attributes:
        track: its id.
        object_class: what it is.
        start_time: first seen, seconds.
        end_time: last seen, seconds.
        finished: whether it has ended.
        path: thinned, oldest first.
        zones: names of the zones that it was in.
        lines: names of the lines that it crossed.
    """

    track: int
    object_class: ObjectClass
    start_time: float
    end_time: float
    finished: bool
    path: tuple[PathPoint, ...]
    zones: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(slots=True)
class _Record:
    start_time: float
    end_time: float
    object_class: ObjectClass
    path: list[PathPoint] = field(default_factory=list)
    zones: set[str] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    changed: bool = True
    finished: bool = False

    def walk(self, presence: Presence, scene: Scene) -> None:
        foot = (presence.foot[0] / scene.width, presence.foot[1] / scene.height)
        self.end_time, self.object_class, self.changed = scene.time, presence.object_class, True
        if self.path:
            last = self.path[-1].foot
            moved = math.hypot((foot[0] - last[0]) * scene.width, (foot[1] - last[1]) * scene.height)
            if moved < PATH_STEP_HEIGHTS * presence.height:
                return
        self.path.append(PathPoint(scene.time, foot))
        if len(self.path) > PATH_POINTS:
            del self.path[1:-1:2]


class ObservationLog:
    """Collects what the tracks of one optic do."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}

    def step(self, scene: Scene, places: Places, crossings: dict[str, list[Crossing]]) -> None:
        """Take one analysed frame and, by line, the crossings that it completed."""
        zones = {name: geometry.scaled(corners, scene.width, scene.height) for name, corners in places.zones.items()}
        for presence in scene.present:
            record = self._records.setdefault(presence.track, _Record(scene.time, scene.time, presence.object_class))
            record.walk(presence, scene)
            record.zones.update(name for name, zone in zones.items() if geometry.inside(presence.foot, zone))
        for line, crossed in crossings.items():
            for crossing in crossed:
                self._records[crossing.presence.track].lines.add(line)
        for track in scene.ended:
            if track in self._records:
                self._records[track].finished = self._records[track].changed = True

    def collect(self) -> list[Observation]:
        """What has changed since the last call; finished tracks are told once and then forgotten."""
        found = [
            Observation(
                track=track,
                object_class=record.object_class,
                start_time=record.start_time,
                end_time=record.end_time,
                finished=record.finished,
                path=tuple(record.path),
                zones=tuple(sorted(record.zones)),
                lines=tuple(sorted(record.lines)),
            )
            for track, record in self._records.items()
            if record.changed
        ]
        self._records = {track: record for track, record in self._records.items() if not record.finished}
        for record in self._records.values():
            record.changed = False
        return found

    def finish(self) -> None:
        """Every track ends, as when the stream does."""
        for record in self._records.values():
            record.finished = record.changed = True
