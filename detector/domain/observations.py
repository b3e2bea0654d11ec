"""What each track did, in a form that is small enough to publish every few seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from detector.domain import colour
from detector.domain.colour import ColourVotes, VehicleColour
from detector.domain.detections import ObjectClass
from detector.domain.trails import SPEED_WINDOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.geometry import Point
    from detector.domain.picture import Picture
    from detector.domain.rules.line_crossing import Crossing
    from detector.domain.scene import Presence, Scene
    from detector.domain.trails import Movement

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
        ground: metres east and north; None: the optic is not calibrated, or the foot is at the horizon or above it.
    """

    time: float
    foot: Point
    ground: Point | None = None


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
        movement: how it moved over the ground when last seen; None: not known, or it is a person, of whom only
            aggregates tell a speed.
        colour: of a vehicle, and how sure that is, 0 to 1.
    """

    track: int
    object_class: ObjectClass
    start_time: float
    end_time: float
    finished: bool
    path: tuple[PathPoint, ...]
    zones: tuple[str, ...]
    lines: tuple[str, ...]
    movement: Movement | None = None
    colour: tuple[VehicleColour, float] = (VehicleColour.UNKNOWN, 0.0)


@dataclass(slots=True)
class _Record:
    start_time: float
    end_time: float
    object_class: ObjectClass
    path: list[PathPoint] = field(default_factory=list)
    zones: set[str] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    movement: Movement | None = None
    colours: ColourVotes = field(default_factory=ColourVotes)
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
        self.path.append(PathPoint(scene.time, foot, presence.ground))
        if len(self.path) > PATH_POINTS:
            del self.path[1:-1:2]

    def vote(self, picture: Picture, presence: Presence, scene: Scene) -> None:
        left, top, right, bottom = presence.box
        box = left / scene.width, top / scene.height, right / scene.width, bottom / scene.height
        seen = colour.look(picture, box)
        if seen is not None:
            self.colours.add(seen)


class ObservationLog:
    """Collects what the tracks of one optic do."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}

    def step(
        self,
        scene: Scene,
        crossings: Mapping[str, Sequence[Crossing]],
        occupants: Mapping[str, Sequence[Presence]],
    ) -> None:
        """Take one analysed frame.

        Args:
            scene: the frame.
            crossings: by line, those that it completed.
            occupants: by zone, who stands in it.
        """
        for presence in scene.present:
            record = self._records.setdefault(presence.track, _Record(scene.time, scene.time, presence.object_class))
            record.walk(presence, scene)
            if presence.object_class is not ObjectClass.PERSON:
                record.movement = scene.movement(presence.track, SPEED_WINDOW_SECONDS)
            if scene.picture is not None and presence.object_class in colour.VEHICLES:
                record.vote(scene.picture, presence, scene)
        for zone, inside in occupants.items():
            for presence in inside:
                self._records[presence.track].zones.add(zone)
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
                movement=None if record.object_class is ObjectClass.PERSON else record.movement,
                # Votes on what was once taken for a vehicle die with that mistake.
                colour=record.colours.result()
                if record.object_class in colour.VEHICLES
                else (VehicleColour.UNKNOWN, 0.0),
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
