"""Wrong way: a vehicle drives against its lane's course, for a while and for a distance, on the ground."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.lanes import Course, angles_between
from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.rules.clock import SceneClock
from detector.domain.rules.vehicles import vehicles_by_default

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point
    from detector.domain.scene import Lane, Places, Presence, Scene
    from detector.domain.trails import Movement

DEFAULT_ANGLE_DEGREES: Final = 120.0
DEFAULT_SECONDS: Final = 2.0
DEFAULT_METRES: Final = 10.0
WINDOW_SECONDS: Final = 1.0
"""A heading is that of the way gone in this time."""
HYSTERESIS_DEGREES: Final = 30.0
"""A heading is along the lane only when it is this much below the angle of the rule."""
MINIMUM_SPEED: Final = 1.0
"""Metres per second; who is slower is parking or standing, and has no heading."""
CERTAIN_ERRORS: Final = 3.0
"""A speed of fewer standard errors than this says nothing of the heading: it may be off by twenty degrees."""
LAPSE_SECONDS: Final = 2.0
"""A drive against the lane that was not seen to go on for this long begins anew."""


class Drive(enum.Enum):
    """How a vehicle drives."""

    ALONG = enum.auto()
    AGAINST = enum.auto()
    """Against the lane, not yet for long or far enough."""
    REPORTED = enum.auto()


class Heading(enum.Enum):
    """What a frame says of it."""

    ALONG = enum.auto()
    UNCLEAR = enum.auto()
    """Too slow, too far away, outside the lane, or at an angle between the two."""
    LAPSED = enum.auto()
    """Unclear, and for long."""
    AGAINST = enum.auto()
    PROVEN = enum.auto()
    """Against the lane, by now for the whole time and distance."""


TRANSITIONS: Final[Mapping[tuple[Drive, Heading], tuple[Drive, bool]]] = {
    (Drive.ALONG, Heading.ALONG): (Drive.ALONG, False),
    (Drive.ALONG, Heading.UNCLEAR): (Drive.ALONG, False),
    (Drive.ALONG, Heading.LAPSED): (Drive.ALONG, False),
    (Drive.ALONG, Heading.AGAINST): (Drive.AGAINST, False),
    (Drive.ALONG, Heading.PROVEN): (Drive.REPORTED, True),
    (Drive.AGAINST, Heading.ALONG): (Drive.ALONG, False),
    (Drive.AGAINST, Heading.UNCLEAR): (Drive.AGAINST, False),
    (Drive.AGAINST, Heading.LAPSED): (Drive.ALONG, False),
    (Drive.AGAINST, Heading.AGAINST): (Drive.AGAINST, False),
    (Drive.AGAINST, Heading.PROVEN): (Drive.REPORTED, True),
    (Drive.REPORTED, Heading.ALONG): (Drive.ALONG, False),
    (Drive.REPORTED, Heading.UNCLEAR): (Drive.REPORTED, False),
    (Drive.REPORTED, Heading.LAPSED): (Drive.REPORTED, False),
    (Drive.REPORTED, Heading.AGAINST): (Drive.REPORTED, False),
    (Drive.REPORTED, Heading.PROVEN): (Drive.REPORTED, False),
}
"""(drive, heading) -> (new drive, whether the rule fires). Told once; only driving along the lane ends it."""


@dataclass(slots=True)
class _Memory:
    since: float
    origin: Point
    last_against: float
    drive: Drive = Drive.ALONG


@dataclass(frozen=True, slots=True)
class WrongWayParameters:
    """See RuleParameters.

    Attributes:
        lane: resource name.
        minimum_angle: between heading and course, degrees.
        minimum_duration: seconds.
        minimum_distance: metres on the ground.
    """

    lane: str
    minimum_angle: float = DEFAULT_ANGLE_DEGREES
    minimum_duration: float = DEFAULT_SECONDS
    minimum_distance: float = DEFAULT_METRES

    def build(self, places: Places, classes: ClassFilter) -> WrongWay:
        """See RuleParameters.build."""
        return WrongWay(self, places.lanes[self.lane], require_calibration(places), classes)


class WrongWay:
    """Fires once for a vehicle that drives against a lane's course.

    Args:
        parameters: see WrongWayParameters.
        lane: normalised.
        calibration: of the optic.
        classes: whose drives count; road vehicles when it names none.

    Raises:
        RuleCannotRunError: the lane's course is not on the ground.
    """

    topic = "Argo/WrongWay"

    def __init__(
        self, parameters: WrongWayParameters, lane: Lane, calibration: Calibration, classes: ClassFilter
    ) -> None:
        self.place = parameters.lane
        self._parameters = parameters
        self._polygon = lane.polygon
        self._course = Course(lane, calibration)
        self._classes = vehicles_by_default(classes)
        self._clock = SceneClock()
        self._vehicles: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._clock.set_back(scene.time):
            self.reset()
        found = self._look(scene)
        for track in scene.ended:
            self._vehicles.pop(track, None)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._vehicles.clear()

    def _look(self, scene: Scene) -> list[Firing | None]:
        movements = scene.movements(WINDOW_SECONDS)
        chosen = np.flatnonzero(scene.occupying(self._polygon, self._classes.classes) & movements.known)
        moved = movements.where(chosen)
        angles = angles_between(moved.velocity, self._course.at(moved.position).direction)
        against = (angles >= self._parameters.minimum_angle) & (moved.speed >= MINIMUM_SPEED)
        return [
            self._judge(scene.present[index], movement, angle, scene.time)
            for index, angle, suspect in zip(chosen.tolist(), angles.tolist(), against.tolist(), strict=True)
            # Of those who drive along the lane, nearly all, there is nothing to remember.
            if (suspect or scene.tracks[index] in self._vehicles) and (movement := movements.of(index))
        ]

    def _judge(self, presence: Presence, movement: Movement, angle: float, time: float) -> Firing | None:
        begun = _Memory(movement.start_time, movement.at(movement.start_time), time)
        memory = self._vehicles.setdefault(presence.track, begun)
        against = _certain(movement) and angle >= self._parameters.minimum_angle
        if against and (memory.drive is Drive.ALONG or time - memory.last_against > LAPSE_SECONDS):
            memory.since, memory.origin = begun.since, begun.origin
        heading = self._heading(memory, movement, angle, time)
        if against:
            memory.last_against = time
        memory.drive, fires = TRANSITIONS[memory.drive, heading]
        if memory.drive is Drive.ALONG:
            del self._vehicles[presence.track]
        return self._explain(presence, memory, movement, angle, time) if fires else None

    def _heading(self, memory: _Memory, movement: Movement, angle: float, time: float) -> Heading:
        parameters = self._parameters
        if _certain(movement) and angle >= parameters.minimum_angle:
            long = time - memory.since >= parameters.minimum_duration
            far = math.dist(movement.position, memory.origin) >= parameters.minimum_distance
            return Heading.PROVEN if long and far else Heading.AGAINST
        if _certain(movement) and angle < parameters.minimum_angle - HYSTERESIS_DEGREES:
            return Heading.ALONG
        return Heading.LAPSED if time - memory.last_against > LAPSE_SECONDS else Heading.UNCLEAR

    def _explain(self, presence: Presence, memory: _Memory, movement: Movement, angle: float, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.since,
            quantity="angle to the lane's course",
            unit="degrees",
            value=angle,
            threshold=self._parameters.minimum_angle,
            uncertainty=math.degrees(math.atan2(movement.speed_error, movement.speed)),
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )


def _certain(movement: Movement) -> bool:
    return movement.speed >= max(MINIMUM_SPEED, CERTAIN_ERRORS * movement.speed_error)
