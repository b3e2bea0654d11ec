"""What each track did, in a form that is small enough to publish every few seconds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain import colour
from detector.domain.colour import ColourVotes, VehicleColour
from detector.domain.detections import ObjectClass
from detector.domain.rows import TrackTable
from detector.domain.trails import SPEED_WINDOW_SECONDS, Movement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from detector.domain.geometry import Flags, Point
    from detector.domain.picture import Picture
    from detector.domain.rules.line_crossing import Crossing
    from detector.domain.scene import Scene
    from detector.domain.trails import Movements

    Indices = npt.NDArray[np.intp]

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
    """What changes seldom; the rest is a row of the log's table."""

    path: list[PathPoint] = field(default_factory=list)
    zones: set[str] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    colours: ColourVotes = field(default_factory=ColourVotes)
    finished: bool = False

    def extend(self, point: PathPoint) -> None:
        self.path.append(point)
        if len(self.path) > PATH_POINTS:
            del self.path[1:-1:2]


class ObservationLog:
    """Collects what the tracks of one optic do."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._seen = TrackTable(start=(), end=(), kind=(), changed=(), foot=(2,), measured=(), movement=(8,))
        """Foot: the last point of the path, shares of the picture. Movement: the fields of Movement in their order."""
        self._inside: dict[str, frozenset[int]] = {}

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
        self._walk(scene)
        if scene.picture is not None:
            self._vote(scene, scene.picture)
        for zone, inside in occupants.items():
            self._enter(zone, frozenset(itertools.compress(scene.tracks, inside.tolist())))
        for line, crossed in crossings.items():
            for crossing in crossed:
                self._records[crossing.presence.track].lines.add(line)
        for track in scene.ended:
            if track in self._records:
                self._records[track].finished = True

    def _walk(self, scene: Scene) -> None:
        size = np.array([scene.width, scene.height])
        rows, feet = self._seen.take(scene.tracks), scene.feet / size
        fresh = np.array([track not in self._records for track in scene.tracks], dtype=np.bool_)
        self._seen["start"][rows[fresh]] = scene.time
        self._seen["end"][rows], self._seen["kind"][rows], self._seen["changed"][rows] = scene.time, scene.classes, 1.0
        self._measure(rows, scene.movements(SPEED_WINDOW_SECONDS))
        moved = np.hypot(*((feet - self._seen["foot"][rows]) * size).T) >= PATH_STEP_HEIGHTS * scene.heights
        steps = np.flatnonzero(fresh | moved)
        self._seen["foot"][rows[steps]] = feet[steps]
        for index, (x, y) in zip(steps.tolist(), feet[steps].tolist(), strict=True):
            presence = scene.present[index]
            record = self._records.setdefault(presence.track, _Record())
            record.extend(PathPoint(scene.time, (x, y), presence.ground))

    def _measure(self, rows: Indices, moved: Movements) -> None:
        self._seen["measured"][rows] = moved.known
        columns = self._seen["movement"]
        columns[rows, 0:2], columns[rows, 2:4], columns[rows, 4] = moved.position, moved.velocity, moved.speed
        columns[rows, 5], columns[rows, 6], columns[rows, 7] = moved.speed_error, moved.start_time, moved.end_time

    def _vote(self, scene: Scene, picture: Picture) -> None:
        for presence in scene.those(scene.of(colour.VEHICLES)):
            left, top, right, bottom = presence.box
            box = left / scene.width, top / scene.height, right / scene.width, bottom / scene.height
            seen = colour.look(picture, box)
            if seen is not None:
                self._records[presence.track].colours.add(seen)

    def _enter(self, zone: str, inside: frozenset[int]) -> None:
        for track in inside - self._inside.get(zone, frozenset()):
            self._records[track].zones.add(zone)
        self._inside[zone] = inside

    def collect(self) -> list[Observation]:
        """What has changed since the last call; finished tracks are told once and then forgotten."""
        tracks = list(self._records)
        rows = self._seen.take(tracks)
        changed = self._seen["changed"][rows] > 0.0
        found = [
            self._observation(track, row, self._records[track])
            for track, row, told in zip(tracks, rows.tolist(), changed.tolist(), strict=True)
            if told or self._records[track].finished
        ]
        self._seen["changed"][rows] = 0.0
        self._seen.drop([track for track in tracks if self._records[track].finished])
        self._records = {track: record for track, record in self._records.items() if not record.finished}
        return found

    def finish(self) -> None:
        """Every track ends, as when the stream does."""
        for record in self._records.values():
            record.finished = True

    def _observation(self, track: int, row: int, record: _Record) -> Observation:
        object_class = ObjectClass(int(self._seen["kind"][row]))
        # Votes on what was once taken for a vehicle die with that mistake.
        painted = record.colours.result() if object_class in colour.VEHICLES else (VehicleColour.UNKNOWN, 0.0)
        return Observation(
            track=track,
            object_class=object_class,
            start_time=float(self._seen["start"][row]),
            end_time=float(self._seen["end"][row]),
            finished=record.finished,
            path=tuple(record.path),
            zones=tuple(sorted(record.zones)),
            lines=tuple(sorted(record.lines)),
            movement=None if object_class is ObjectClass.PERSON else self._movement(row),
            colour=painted,
        )

    def _movement(self, row: int) -> Movement | None:
        if not self._seen["measured"][row]:
            return None
        east, north, speed_east, speed_north, *others = self._seen["movement"][row].tolist()
        return Movement((east, north), (speed_east, speed_north), *others)
