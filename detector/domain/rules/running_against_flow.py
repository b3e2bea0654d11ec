"""Somebody runs against the direction in which most people of a zone walk.

The direction is learned from those who walk, and there has to be one: where people go both ways, nobody is against it.
One is as good as another for the rule: a runner whose track breaks goes on running, and two are one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.flow_field import MainCourse
from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode
from detector.domain.rules.occupants import explain, occupants, people_unless_said

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Scene

DEFAULT_SPEED: Final = 2.5
DEFAULT_DURATION_SECONDS: Final = 1.5
AGAINST_DEGREES: Final = 120.0
"""Angle to the main course from which on somebody is against it, as for vehicles that go the wrong way."""
WALKING_SPEED: Final = 0.5
"""Metres per second from which on somebody has a direction."""
MEMORY_SECONDS: Final = 60.0
LEAST_PERSON_SECONDS: Final = 20.0
"""What the course is learned from: five people who walk for four seconds."""
LEAST_ALIGNMENT: Final = 0.6
"""Length of the mean direction: four out of five go one way."""
MOVEMENT_SECONDS: Final = 1.0
RELEASE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RunningAgainstFlowParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_speed: from which speed on somebody runs, metres per second.
        minimum_duration: for how long, seconds.
    """

    zone: str
    minimum_speed: float = DEFAULT_SPEED
    minimum_duration: float = DEFAULT_DURATION_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> RunningAgainstFlow:
        """See RuleParameters.build."""
        require_calibration(places)
        return RunningAgainstFlow(self, places.zones[self.zone], classes)


class RunningAgainstFlow:
    """Fires when somebody runs against the stream of people.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        classes: who counts; none means persons.
    """

    topic = "Argo/RunningAgainstFlow"

    def __init__(self, parameters: RunningAgainstFlowParameters, zone: tuple[Point, ...], classes: ClassFilter) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._classes = people_unless_said(classes)
        self._course = MainCourse(MEMORY_SECONDS)
        self._last: float | None = None
        self._episode = Episode(parameters.minimum_duration, RELEASE_SECONDS)

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        passed = 0.0 if self._last is None else min(max(0.0, scene.time - self._last), LONGEST_GAP_SECONDS)
        self._last = scene.time
        present = occupants(scene, self._zone, self._classes)
        moving = [(item, movement) for item in present if (movement := scene.movement(item.track, MOVEMENT_SECONDS))]
        fastest = self._parameters.minimum_speed
        walking = [movement.velocity for _, movement in moving if WALKING_SPEED <= movement.speed < fastest]
        self._course.step(passed, walking)
        against = [
            (item, movement)
            for item, movement in moving
            if movement.speed - movement.speed_error >= fastest and self._against(movement.velocity)
        ]
        if not self._episode.step(scene.time, holds=bool(against), over=not against):
            return []
        _, movement = max(against, key=lambda found: found[1].speed)
        angle = self._course.angle_to(movement.velocity)
        quantity = f"speed against the flow ({angle:.0f}° from the direction of most)"
        return [
            explain(
                scene,
                self._zone,
                [item for item, _ in against],
                (quantity, "m/s", movement.speed, fastest),
                start_time=self._episode.since,
                uncertainty=movement.speed_error,
            )
        ]

    def reset(self) -> None:
        """See Rule.reset."""
        self._course.clear()
        self._last = None
        self._episode.reset()

    def _against(self, velocity: Point) -> bool:
        known = self._course.person_seconds >= LEAST_PERSON_SECONDS and self._course.alignment >= LEAST_ALIGNMENT
        return known and self._course.angle_to(velocity) >= AGAINST_DEGREES
