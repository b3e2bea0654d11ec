"""Near misses: two road users of which one is a motor vehicle come too close to a collision, in time.

Statistics only: the rule never fires. What it counts goes into the flows, as a sign of a dangerous place before there
are accidents to count. Time to collision and post-encroachment time are those of the Surrogate Safety Assessment Model,
whose defaults (1.5 s, 5 s) they have; see `encounters`. Two pedestrians never make one.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass
from detector.domain.encounters import SIZES, RoadUsers, VisitedGround, reaches, times_to_collision
from detector.domain.rows import TrackTable
from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.trails import MAXIMUM_SPEED_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Flags, Floats, Point
    from detector.domain.scene import Places, Scene

    Indices = npt.NDArray[np.intp]

DEFAULT_TIME_TO_COLLISION: Final = 1.5
DEFAULT_POST_ENCROACHMENT_TIME: Final = 5.0
WINDOW_SECONDS: Final = 1.0
"""Speeds and directions are measured over this long, and what is measured is true of its middle: half a second ago, at
which everything is compared. Places of now and speeds of half a second ago would make every braking a near miss."""
MOVING_SPEED: Final = 1.0
"""From here on, metres per second, something has a direction of its own; slower, it keeps its last one."""
MINIMUM_CLOSING_SPEED: Final = 2.0
"""Metres per second: what creeps up in a queue is no conflict."""
SUSTAINED_SECONDS: Final = 0.35
"""A conflict is one that more than one frame sees: three at 5 a second."""
PARTED_SECONDS: Final = 2.0
"""Two who did not come close for this long have parted; what follows is another encounter."""
SHORTEST_SECONDS: Final = 0.01
"""What is counted is no shorter: 0 says that nothing was counted."""
_TOUCHING_METRES: Final = 1e-6
_ROAD_USERS: Final = frozenset(SIZES)
_HALF_SIZES: Final = np.array([(0.0, 0.0), *(SIZES.get(kind, (0.0, 0.0)) for kind in sorted(ObjectClass))]) / 2
"""By number of the class."""
MOTOR_VEHICLES: Final = frozenset(
    {ObjectClass.CAR, ObjectClass.MOTORCYCLE, ObjectClass.BUS, ObjectClass.TRUCK, ObjectClass.TRAIN}
)


class Encounter(enum.Enum):
    """Where two road users are with respect to each other."""

    APART = enum.auto()
    CLOSE = enum.auto()
    """On a collision course, not yet for long enough to believe it."""
    CONFLICT = enum.auto()


class Outlook(enum.Enum):
    """What a frame says of two road users."""

    CLEAR = enum.auto()
    COLLISION_COURSE = enum.auto()
    SUSTAINED = enum.auto()
    """A collision course, and by now for long enough."""
    PARTED = enum.auto()
    """Clear for long, or one of them has gone."""


TRANSITIONS: Final[Mapping[tuple[Encounter, Outlook], tuple[Encounter, bool]]] = {
    (Encounter.APART, Outlook.CLEAR): (Encounter.APART, False),
    (Encounter.APART, Outlook.COLLISION_COURSE): (Encounter.CLOSE, False),
    (Encounter.APART, Outlook.SUSTAINED): (Encounter.CONFLICT, False),
    (Encounter.APART, Outlook.PARTED): (Encounter.APART, False),
    (Encounter.CLOSE, Outlook.CLEAR): (Encounter.APART, False),
    (Encounter.CLOSE, Outlook.COLLISION_COURSE): (Encounter.CLOSE, False),
    (Encounter.CLOSE, Outlook.SUSTAINED): (Encounter.CONFLICT, False),
    (Encounter.CLOSE, Outlook.PARTED): (Encounter.APART, False),
    (Encounter.CONFLICT, Outlook.CLEAR): (Encounter.CONFLICT, False),
    (Encounter.CONFLICT, Outlook.COLLISION_COURSE): (Encounter.CONFLICT, False),
    (Encounter.CONFLICT, Outlook.SUSTAINED): (Encounter.CONFLICT, False),
    (Encounter.CONFLICT, Outlook.PARTED): (Encounter.APART, True),
}
"""(encounter, outlook) -> (new encounter, whether it is counted).

It is counted when it is over, and its shortest time to collision is known."""


@dataclass(frozen=True, slots=True)
class NearMissCount:
    """The conflicts of one zone since the last count.

    Attributes:
        zone: resource name.
        time_to_collision: how many had a time to collision no longer than the rule's.
        shortest_time_to_collision: of them, seconds; 0: none.
        post_encroachment: how many crossed a place no later after each other than the rule's time.
        shortest_post_encroachment_time: of them, seconds; 0: none.
    """

    zone: str
    time_to_collision: int = 0
    shortest_time_to_collision: float = 0.0
    post_encroachment: int = 0
    shortest_post_encroachment_time: float = 0.0


@dataclass(frozen=True, slots=True)
class NearMissParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        time_to_collision: seconds.
        post_encroachment_time: seconds.
    """

    zone: str
    time_to_collision: float = DEFAULT_TIME_TO_COLLISION
    post_encroachment_time: float = DEFAULT_POST_ENCROACHMENT_TIME

    def build(self, places: Places, classes: ClassFilter) -> NearMiss:
        """See RuleParameters.build."""
        return NearMiss(self, places.zones[self.zone], require_calibration(places), classes)


@dataclass(slots=True)
class _Pair:
    since: float
    last_close: float
    shortest: float = math.inf
    encounter: Encounter = Encounter.APART


@dataclass(slots=True)
class _Passage:
    """Two road users over the same ground."""

    last_seen: float
    shortest: float


class NearMiss:
    """Counts the near misses in a zone. Never fires.

    Args:
        parameters: see NearMissParameters.
        zone: its corners, normalised.
        calibration: of the optic.
        classes: both of a pair must be among them.
    """

    topic = "Argo/NearMiss"

    def __init__(
        self, parameters: NearMissParameters, zone: tuple[Point, ...], calibration: Calibration, classes: ClassFilter
    ) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._calibration = calibration
        self._classes = classes
        self._visited = VisitedGround(parameters.post_encroachment_time)
        self._courses = TrackTable(ahead=(2,))
        """Unit vectors; zero: it has not moved yet."""
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._passages: dict[tuple[int, int], _Passage] = {}
        self._collisions: list[float] = []
        self._encroachments: list[float] = []

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step; always empty."""
        users, moving = self._road_users(scene)
        self._look_ahead(users, moving, scene.time)
        self._look_back(users.where(moving), scene.time)
        self._settle(scene.time, scene.ended)
        return []

    def collect(self) -> NearMissCount:
        """The counts since the last call."""
        counts = NearMissCount(
            self.place,
            len(self._collisions),
            min(self._collisions, default=0.0),
            len(self._encroachments),
            min(self._encroachments, default=0.0),
        )
        self._collisions, self._encroachments = [], []
        return counts

    def reset(self) -> None:
        """See Rule.reset. What was counted stays counted."""
        self._visited.clear()
        self._courses.clear()
        self._pairs.clear()
        self._passages.clear()

    def _road_users(self, scene: Scene) -> tuple[RoadUsers, Flags]:
        """Whose movements are known well enough, and which of them have a direction of their own."""
        movements = scene.movements(WINDOW_SECONDS)
        looked_at = scene.occupying(self._zone, self._classes.classes) & scene.of(_ROAD_USERS) & ~scene.riders
        chosen = np.flatnonzero(looked_at & movements.known & (movements.speed_error <= MAXIMUM_SPEED_ERROR))
        moved, tracks = movements.where(chosen), [scene.tracks[index] for index in chosen.tolist()]
        moving = moved.speed >= MOVING_SPEED
        half_length, half_width = _HALF_SIZES[scene.classes[chosen]].T
        away = self._away(scene.feet[chosen] / (scene.width, scene.height))
        ahead = self._ahead(tracks, moved.velocity, moved.speed, away)
        # The lower side of a box is the near side of what is in it: the middle lies behind it.
        behind = reaches(ahead, half_length, half_width, away)
        centre = moved.at(scene.time - WINDOW_SECONDS / 2) + behind[:, None] * away
        numbers, motor = np.array(tracks, dtype=np.uint64), scene.of(MOTOR_VEHICLES)[chosen]
        return RoadUsers(numbers, motor, centre, ahead, half_length, half_width, moved.velocity), moving

    def _ahead(self, tracks: list[int], velocity: Floats, speed: Floats, away: Floats) -> Floats:
        """Where each is headed: where it goes, or went when it last moved, or else away from the camera; n x 2."""
        rows, moving = self._courses.take(tracks), speed >= MOVING_SPEED
        courses = self._courses["ahead"]
        courses[rows[moving]] = velocity[moving] / speed[moving, None]
        return np.where(courses[rows].any(axis=1, keepdims=True), courses[rows], away)

    def _away(self, feet: Floats) -> Floats:
        """The directions on the ground that lead up the picture, away from the camera, n x 2; unit vectors."""
        upwards = -self._calibration.jacobian(feet)[:, :, 1]
        unit: Floats = upwards / np.linalg.norm(upwards, axis=1, keepdims=True)
        return unit

    def _look_ahead(self, users: RoadUsers, moving: Flags, time: float) -> None:
        longest = self._parameters.time_to_collision
        first, second = _closing_in(users, moving, longest)
        seconds = times_to_collision(users.where(first), users.where(second))
        for index in np.flatnonzero(seconds <= longest).tolist():
            key = _key(int(users.tracks[first[index]]), int(users.tracks[second[index]]))
            self._close(key, max(float(seconds[index]), SHORTEST_SECONDS), time)

    def _close(self, key: tuple[int, int], seconds: float, time: float) -> None:
        pair = self._pairs.setdefault(key, _Pair(time, time))
        if pair.encounter is Encounter.APART:
            pair.since = time
        pair.last_close, pair.shortest = time, min(pair.shortest, seconds)
        outlook = Outlook.SUSTAINED if time - pair.since >= SUSTAINED_SECONDS else Outlook.COLLISION_COURSE
        pair.encounter, _ = TRANSITIONS[pair.encounter, outlook]

    def _look_back(self, users: RoadUsers, time: float) -> None:
        for found in self._visited.visit(users, time):
            seconds = max(found.seconds, SHORTEST_SECONDS)
            passage = self._passages.setdefault(_key(found.first, found.second), _Passage(time, seconds))
            passage.last_seen, passage.shortest = time, min(passage.shortest, seconds)

    def _settle(self, time: float, ended: tuple[int, ...]) -> None:
        """Count what is over, and forget who has gone."""
        gone = frozenset(ended)
        for key, pair in list(self._pairs.items()):
            if pair.last_close == time:
                continue
            # A clock that was set back parts everybody.
            over = not 0.0 <= time - pair.last_close < PARTED_SECONDS or not gone.isdisjoint(key)
            pair.encounter, counts = TRANSITIONS[pair.encounter, Outlook.PARTED if over else Outlook.CLEAR]
            if counts:
                self._collisions.append(pair.shortest)
            if pair.encounter is Encounter.APART:
                del self._pairs[key]
        for key, passage in list(self._passages.items()):
            if not 0.0 <= time - passage.last_seen < PARTED_SECONDS:
                self._encroachments.append(passage.shortest)
                del self._passages[key]
        self._visited.leave(ended)
        self._courses.drop(ended)


def _key(first: int, second: int) -> tuple[int, int]:
    return min(first, second), max(first, second)


def _closing_in(users: RoadUsers, moving: Flags, seconds: float) -> tuple[Indices, Indices]:
    """The pairs of a motor vehicle that drives and another, which come nearer fast enough and could meet in time."""
    driving = np.flatnonzero(users.motor & moving)
    (east, north), (speed_east, speed_north) = users.centre.T, users.velocity.T
    apart_east, apart_north = east - east[driving, None], north - north[driving, None]
    distance = np.maximum(np.hypot(apart_east, apart_north), _TOUCHING_METRES)
    nearing = (speed_east - speed_east[driving, None]) * apart_east
    nearing += (speed_north - speed_north[driving, None]) * apart_north
    reach = np.hypot(speed_east, speed_north) * seconds + users.half_length + users.half_width
    near = (-nearing / distance >= MINIMUM_CLOSING_SPEED) & (distance <= reach[driving, None] + reach)
    rows, others = np.nonzero(near)
    # Two who both drive are found twice.
    first, second = np.minimum(driving[rows], others), np.maximum(driving[rows], others)
    return np.divmod(np.unique(first * len(users) + second), max(1, len(users)))
