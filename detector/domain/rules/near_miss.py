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
from detector.domain.encounters import SIZES, Footprint, VisitedGround, reach, time_to_collision
from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.trails import MAXIMUM_SPEED_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Presence, Scene
    from detector.domain.trails import Movement

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


@dataclass(frozen=True, slots=True)
class _RoadUser:
    track: int
    motor: bool
    moving: bool
    footprint: Footprint


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
        self._visited = VisitedGround()
        self._ahead: dict[int, Point] = {}
        self._motor: dict[int, float] = {}
        """Track of a motor vehicle -> when it was last seen; outlives the track, as its traces do."""
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._passages: dict[tuple[int, int], _Passage] = {}
        self._collisions: list[float] = []
        self._encroachments: list[float] = []

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step; always empty."""
        inside = self._inside(scene)
        users = self._road_users(inside, scene)
        self._look_ahead(users, scene.time)
        self._look_back(users, scene.time)
        self._settle(scene.time, frozenset(scene.ended))
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
        self._ahead.clear()
        self._motor.clear()
        self._pairs.clear()
        self._passages.clear()

    def _inside(self, scene: Scene) -> list[Presence]:
        return [
            item
            for item in scene.occupants(self._zone, self._classes.classes)
            if item.object_class in SIZES and item.track not in scene.riders
        ]

    def _road_users(self, inside: Sequence[Presence], scene: Scene) -> list[_RoadUser]:
        measured = [(item, scene.movement(item.track, WINDOW_SECONDS)) for item in inside]
        known = [(item, movement) for item, movement in measured if movement is not None]
        return [
            self._road_user(item, movement, away, scene.time)
            for (item, movement), away in zip(known, self._away([item for item, _ in known], scene), strict=True)
            if movement.speed_error <= MAXIMUM_SPEED_ERROR
        ]

    def _road_user(self, presence: Presence, movement: Movement, away: Point, time: float) -> _RoadUser:
        motor, moving = presence.object_class in MOTOR_VEHICLES, movement.speed >= MOVING_SPEED
        if motor:
            self._motor[presence.track] = time
        if moving:
            east, north = movement.velocity
            self._ahead[presence.track] = (east / movement.speed, north / movement.speed)
        length, width = SIZES[presence.object_class]
        ahead = self._ahead.get(presence.track, away)
        near_side = movement.at(time - WINDOW_SECONDS / 2)
        # The lower side of a box is the near side of what is in it: the middle lies behind it.
        behind = reach(ahead, length / 2, width / 2, away)
        centre = (near_side[0] + behind * away[0], near_side[1] + behind * away[1])
        footprint = Footprint(centre, ahead, length / 2, width / 2, movement.velocity)
        return _RoadUser(presence.track, motor, moving, footprint)

    def _away(self, known: Sequence[Presence], scene: Scene) -> list[Point]:
        """For each, the direction on the ground that leads up the picture, away from the camera; unit vectors."""
        if not known:
            return []
        feet = np.array([item.foot for item in known], dtype=np.float64) / (scene.width, scene.height)
        upwards = -self._calibration.jacobian(feet)[:, :, 1]
        unit = upwards / np.linalg.norm(upwards, axis=1, keepdims=True)
        return [(east, north) for east, north in unit.tolist()]

    def _look_ahead(self, users: Sequence[_RoadUser], time: float) -> None:
        for first, second in _closing_in(users, self._parameters.time_to_collision):
            seconds = time_to_collision(first.footprint, second.footprint)
            if seconds <= self._parameters.time_to_collision:
                self._close(_key(first.track, second.track), max(seconds, SHORTEST_SECONDS), time)

    def _close(self, key: tuple[int, int], seconds: float, time: float) -> None:
        pair = self._pairs.setdefault(key, _Pair(time, time))
        if pair.encounter is Encounter.APART:
            pair.since = time
        pair.last_close, pair.shortest = time, min(pair.shortest, seconds)
        outlook = Outlook.SUSTAINED if time - pair.since >= SUSTAINED_SECONDS else Outlook.COLLISION_COURSE
        pair.encounter, _ = TRANSITIONS[pair.encounter, outlook]

    def _look_back(self, users: Sequence[_RoadUser], time: float) -> None:
        for user in users:
            if not user.moving:
                continue
            for found in self._visited.visit(user.track, user.footprint, time):
                if found.seconds > self._parameters.post_encroachment_time:
                    continue
                if found.first not in self._motor and not user.motor:
                    continue
                seconds = max(found.seconds, SHORTEST_SECONDS)
                passage = self._passages.setdefault(_key(found.first, user.track), _Passage(time, seconds))
                passage.last_seen, passage.shortest = time, min(passage.shortest, seconds)

    def _settle(self, time: float, ended: frozenset[int]) -> None:
        """Count what is over, and forget who has gone."""
        for key, pair in list(self._pairs.items()):
            if pair.last_close == time:
                continue
            # A clock that was set back parts everybody.
            over = not 0.0 <= time - pair.last_close < PARTED_SECONDS or not ended.isdisjoint(key)
            pair.encounter, counts = TRANSITIONS[pair.encounter, Outlook.PARTED if over else Outlook.CLEAR]
            if counts:
                self._collisions.append(pair.shortest)
            if pair.encounter is Encounter.APART:
                del self._pairs[key]
        for key, passage in list(self._passages.items()):
            if not 0.0 <= time - passage.last_seen < PARTED_SECONDS:
                self._encroachments.append(passage.shortest)
                del self._passages[key]
        for track in ended:
            self._visited.leave(track)
            self._ahead.pop(track, None)
        remembered = PARTED_SECONDS + self._parameters.post_encroachment_time
        self._motor = {track: seen for track, seen in self._motor.items() if 0.0 <= time - seen <= remembered}


def _key(first: int, second: int) -> tuple[int, int]:
    return min(first, second), max(first, second)


def _closing_in(users: Sequence[_RoadUser], seconds: float) -> list[tuple[_RoadUser, _RoadUser]]:
    """The pairs of a motor vehicle that drives and another, which come nearer fast enough and could meet in time."""
    driving = np.array([index for index, user in enumerate(users) if user.motor and user.moving], dtype=np.intp)
    if not len(driving):
        return []
    centres = np.array([user.footprint.centre for user in users])
    velocities = np.array([user.footprint.velocity for user in users])
    sizes = np.array([user.footprint.half_length + user.footprint.half_width for user in users])
    apart = centres[None] - centres[driving, None]
    distance = np.maximum(np.linalg.norm(apart, axis=2), _TOUCHING_METRES)
    closing = -((velocities[None] - velocities[driving, None]) * apart).sum(axis=2) / distance
    reach = np.linalg.norm(velocities, axis=1) * seconds + sizes
    near = (closing >= MINIMUM_CLOSING_SPEED) & (distance <= reach[driving, None] + reach[None])
    rows, others = np.nonzero(near)
    # Two who both drive are found twice.
    pairs = {(min(pair), max(pair)) for pair in zip(driving[rows].tolist(), others.tolist(), strict=True)}
    return [(users[first], users[second]) for first, second in sorted(pairs)]
