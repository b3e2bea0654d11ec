"""Many people in a zone begin to run apart within moments, as on piazza San Carlo on 3 June 2017.

Four things together: enough people run; moments before, next to none of them did, and the zone moved at less than half
that speed; they move apart, in more than one direction; and they neither came running nor ran together before that. So
a bus stop that empties (walking, towards one door), a group of joggers (one direction), groups that cross (together,
then apart), a goal celebration (nobody goes anywhere) and children on a playground (running all the time) are none.

Trackers lose people who bolt, and find them again under new tracks. So no track has to outlive the onset: who runs is
counted anew in every frame, and what is compared with before is the zone as a whole.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain import geometry
from detector.domain.flow_field import Expansion, expansion
from detector.domain.rules import ClassFilter, Firing, RuleCannotRunError, require_calibration
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode
from detector.domain.rules.occupants import SteadyCount, explain, people_unless_said

if TYPE_CHECKING:
    from detector.domain.geometry import Flags, Floats, Point
    from detector.domain.scene import Places, Scene
    from detector.domain.trails import Movements

DEFAULT_PEOPLE: Final = 5
LEAST_PEOPLE: Final = 3
"""Fewer have no divergence."""
DEFAULT_SPEED: Final = 2.5
DEFAULT_WITHIN_SECONDS: Final = 3.0
TIMES_BEFORE: Final = 2.0
"""A runner is faster than the median of the zone before by this factor."""
BEFORE_SECONDS: Final = 10.0
"""Over which time the moments before reach back."""
BEFORE_LEAST_SECONDS: Final = 2.0
"""What was looked at for less than this is not known."""
CALM_SHARE: Final = 0.5
"""Of those who run: no more ran before. In a packed crowd, tracks that change over look like a few who run,"""
CALM_SECONDS: Final = 5.0
"""for this long. Runners who are lost for a moment and found again do not begin to run."""
MOST_GROWTH: Final = 2.0
"""With more than this many times the people of before, they came running and did not begin here. Of a packed crowd that
thins out, a fifth more is seen than before."""
MOST_ALIGNMENT: Final = 0.8
"""Length of the mean direction from which on people run in one direction, not apart: even a half circle, as before a
wall, has no more than 2/π = 0.64."""
SURE: Final = 2.0
"""The divergence is positive by so many of its standard errors."""
MOVEMENT_SECONDS: Final = 1.0
"""Over how long a movement is measured: whoever jumps up and down goes nowhere in it."""
STEADY_SECONDS: Final = 0.7
LASTING_SECONDS: Final = 0.4
RELEASE_SECONDS: Final = 10.0
_BACK_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class DispersalParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_people: how many run, at least LEAST_PEOPLE.
        minimum_speed: from which speed on they do, metres per second.
        within: how long their onset takes at most, seconds.
    """

    zone: str
    minimum_people: int = DEFAULT_PEOPLE
    minimum_speed: float = DEFAULT_SPEED
    within: float = DEFAULT_WITHIN_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> Dispersal:
        """See RuleParameters.build."""
        zone, calibration = places.zones[self.zone], require_calibration(places)
        if self.minimum_people < LEAST_PEOPLE:
            message = (
                f"whether {self.minimum_people} run apart cannot be measured, from {LEAST_PEOPLE} people on it can"
            )
            raise RuleCannotRunError(message)
        ground = calibration.to_ground(np.array(zone))
        if not np.isfinite(ground).all():
            raise RuleCannotRunError("the zone reaches the horizon of the calibration: draw its far side closer")
        corners = tuple((east, north) for east, north in ground.tolist())
        return Dispersal(self, zone, corners, classes)


@dataclass(frozen=True, slots=True)
class _Moment:
    time: float
    people: int
    median_speed: float | None
    runners: int
    closing: bool
    """As many as it takes ran together: groups that cross each other, and will run apart in a moment."""


@dataclass(frozen=True, slots=True)
class _Before:
    people: float
    speed: float


class Dispersal:
    """Fires when many in a zone begin to run apart.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        ground: the same on the ground, metres east and north.
        classes: who counts; none means persons.
    """

    topic = "Argo/Dispersal"

    def __init__(
        self,
        parameters: DispersalParameters,
        zone: tuple[Point, ...],
        ground: tuple[Point, ...],
        classes: ClassFilter,
    ) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._classes = people_unless_said(classes)
        self._ground = ground
        self.reset()

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._moments and not 0.0 <= scene.time - self._moments[-1].time <= LONGEST_GAP_SECONDS:
            self.reset()
        before, movements = self._before(scene.time), scene.movements(MOVEMENT_SECONDS)
        running = self._runners(scene, movements, before)
        number = int(running.sum())
        count = self._count.step(scene.time, number)
        field = expansion(movements.position[running], movements.velocity[running])
        least = self._parameters.minimum_people
        closing = field is not None and number >= least and field.divergence <= -SURE * field.error
        self._remember(scene, count, closing=closing)
        apart = field if field is not None and _is_apart(field) else None
        holds = before is not None and count >= least and apart is not None and self._begins(scene.time, count, before)
        if not self._episode.step(scene.time, holds=holds, over=count < CALM_SHARE * least):
            return []
        assert apart is not None
        assert before is not None
        quantity = (
            f"people who began to run apart within {self._parameters.within:g} s "
            f"(median speed {statistics.median(movements.speed[running].tolist()):.1f} m/s, "
            f"of all before {before.speed:.1f} m/s; divergence {apart.divergence:.2f} ± {apart.error:.2f} per second)"
        )
        measured = (quantity, "", float(count), float(least))
        onset = self._onset(scene.time, count)
        return [explain(scene, self._zone, scene.those(running), measured, start_time=onset)]

    def reset(self) -> None:
        """See Rule.reset."""
        self._count = SteadyCount(STEADY_SECONDS)
        self._moments: deque[_Moment] = deque()
        self._episode = Episode(LASTING_SECONDS, RELEASE_SECONDS)

    def _runners(self, scene: Scene, movements: Movements, before: _Before | None) -> Flags:
        """Who runs, n."""
        fast = movements.speed - movements.speed_error >= self._parameters.minimum_speed
        faster = movements.speed > (-math.inf if before is None else TIMES_BEFORE * before.speed)
        running = scene.of(self._classes.classes) & movements.known & fast & faster
        running[running] = self._come_from_zone(movements.position[running], movements.velocity[running])
        return running

    def _come_from_zone(self, positions: Floats, velocities: Floats) -> Flags:
        """Who of those who run like this is in the zone, or was while the onset lasts: it is left in two seconds."""
        back = np.linspace(0.0, self._parameters.within, _BACK_STEPS + 1)
        places = positions[:, None] - velocities[:, None] * back[:, None]
        inside = geometry.contains(self._ground, places.reshape(-1, 2)).reshape(-1, len(back))
        found: Flags = np.logical_or.reduce(inside, axis=1)
        return found

    def _remember(self, scene: Scene, runners: int, *, closing: bool) -> None:
        present, movements = scene.occupying(self._zone, self._classes.classes), scene.movements(MOVEMENT_SECONDS)
        speeds = movements.speed[present & movements.known]
        median_speed = statistics.median(speeds.tolist()) if len(speeds) else None
        self._moments.append(_Moment(scene.time, int(present.sum()), median_speed, runners, closing))
        while scene.time - self._moments[0].time > self._parameters.within + BEFORE_SECONDS:
            self._moments.popleft()

    def _before(self, time: float) -> _Before | None:
        """The zone before an onset could have begun; None: not known, or too few were there."""
        moments = [moment for moment in self._moments if time - moment.time >= self._parameters.within]
        if not moments or moments[-1].time - moments[0].time < BEFORE_LEAST_SECONDS:
            return None
        speeds = [moment.median_speed for moment in moments if moment.median_speed is not None]
        people = statistics.median(moment.people for moment in moments)
        if not speeds or people < self._parameters.minimum_people:
            return None
        return _Before(people, statistics.median(speeds))

    def _begins(self, time: float, count: int, before: _Before) -> bool:
        """Whether next to nobody ran before the time that an onset takes, and in it nobody came running."""
        calm = CALM_SHARE * count
        ages = [(time - moment.time - self._parameters.within, moment) for moment in self._moments]
        recent = [moment for age, moment in ages if age <= 0.0]
        came = any(moment.closing or moment.people > MOST_GROWTH * before.people for moment in recent)
        return not came and all(moment.runners <= calm for age, moment in ages if 0.0 < age <= CALM_SECONDS)

    def _onset(self, time: float, count: int) -> float:
        """When more than next to nobody ran."""
        calm = CALM_SHARE * count
        recent = [moment for moment in self._moments if time - moment.time <= self._parameters.within]
        return min(moment.time for moment in recent if moment.runners > calm)


def _is_apart(field: Expansion) -> bool:
    return field.alignment <= MOST_ALIGNMENT and field.divergence >= SURE * field.error
