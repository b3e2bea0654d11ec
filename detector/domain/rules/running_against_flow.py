"""Somebody runs against the direction in which most people of a zone walk.

The direction is learned from those who walk, and there has to be one: where people go both ways, nobody is against it.
One is as good as another for the rule: a runner whose track breaks goes on running, and two are one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.flow_field import MainCourse
from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode
from detector.domain.rules.occupants import explain, people_unless_said

if TYPE_CHECKING:
    from detector.domain.geometry import Flags, Floats, Point
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
        movements, fastest = scene.movements(MOVEMENT_SECONDS), self._parameters.minimum_speed
        moving = scene.occupying(self._zone, self._classes.classes) & movements.known
        speed = movements.speed
        self._course.step(passed, movements.velocity[moving & (speed >= WALKING_SPEED) & (speed < fastest)])
        running = moving & (speed - movements.speed_error >= fastest)
        against = np.flatnonzero(running)[self._against(movements.velocity[running])]
        if not self._episode.step(scene.time, holds=len(against) > 0, over=len(against) == 0):
            return []
        first = int(against[speed[against].argmax()])
        angle = float(self._course.angles_to(movements.velocity[[first]])[0])
        quantity = f"speed against the flow ({angle:.0f}° from the direction of most)"
        return [
            explain(
                scene,
                self._zone,
                [scene.present[index] for index in against.tolist()],
                (quantity, "m/s", float(speed[first]), fastest),
                start_time=self._episode.since,
                uncertainty=float(movements.speed_error[first]),
            )
        ]

    def reset(self) -> None:
        """See Rule.reset."""
        self._course.clear()
        self._last = None
        self._episode.reset()

    def _against(self, velocities: Floats) -> Flags:
        known = self._course.person_seconds >= LEAST_PERSON_SECONDS and self._course.alignment >= LEAST_ALIGNMENT
        return (self._course.angles_to(velocities) >= AGAINST_DEGREES) & known
