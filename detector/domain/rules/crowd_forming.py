"""People gather: many more stand in a zone than did a while ago, and they stay.

Counted are people who stand, whoever they are: tracks that break and begin again change nothing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from detector.domain.rules import ClassFilter, Firing
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode, Phase
from detector.domain.rules.occupants import SteadyCount, explain, people_unless_said

if TYPE_CHECKING:
    from detector.domain.geometry import Flags, Point
    from detector.domain.scene import Places, Presence, Scene

DEFAULT_PEOPLE: Final = 10
DEFAULT_WITHIN_SECONDS: Final = 120.0
STAY_SECONDS: Final = 30.0
"""Who gathers at a crossing leaves with the next green light; a crowd is there for longer."""
RELEASE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 5.0
"""The number of those who stand is the median over this time."""
WARM_UP_SECONDS: Final = 10.0
"""At the start of a stream everybody seems to come at once, because the tracker begins with nobody."""
STANDING_SPEED: Final = 0.5
"""Metres per second below which somebody stands: a third of a walk. People who stand sway."""
STANDING_HEIGHTS: Final = 0.2
"""The same without a calibration, in heights of the box per second. Whoever walks straight towards the camera from far
away may then be taken for standing."""
MOVEMENT_SECONDS: Final = 2.0
"""Over how long a movement is measured."""


@dataclass(frozen=True, slots=True)
class CrowdFormingParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_people: how many more must stand there.
        within: than at some moment of this time, seconds.
    """

    zone: str
    minimum_people: int = DEFAULT_PEOPLE
    within: float = DEFAULT_WITHIN_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> CrowdForming:
        """See RuleParameters.build."""
        return CrowdForming(self, places.zones[self.zone], classes, calibrated=places.calibration is not None)


class CrowdForming:
    """Fires when the number of people who stand in a zone has grown within a time, and stays grown.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        classes: who counts; none means persons.
        calibrated: whether the optic is; otherwise speeds are taken from the picture.
    """

    topic = "Argo/CrowdForming"

    def __init__(
        self, parameters: CrowdFormingParameters, zone: tuple[Point, ...], classes: ClassFilter, *, calibrated: bool
    ) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._classes = people_unless_said(classes)
        self._standing: _Standing = _StandingOnGround() if calibrated else _StandingInPicture()
        self._begun = math.inf
        self._last = -math.inf
        self.reset()

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        self._begin_anew(scene)
        standing = self._standing.among(scene, scene.occupying(self._zone, self._classes.classes))
        count = self._count.step(scene.time, int(standing.sum()))
        if scene.time - self._begun < WARM_UP_SECONDS:
            return []
        lowest = self._remember(scene.time, count)
        if self._episode.phase is Phase.QUIET:
            # Kept from then on: a crowd lasts until it is gone, and not until nobody remembers the empty place.
            self._before = lowest
        grown, least = count - self._before[1], self._parameters.minimum_people
        if not self._episode.step(scene.time, holds=grown >= least, over=grown < least / 2):
            return []
        quantity = f"people who came and stand, within {self._parameters.within:g} s ({count} stand there now)"
        measured = (quantity, "", float(grown), float(least))
        return [explain(scene, self._zone, scene.those(standing), measured, start_time=self._before[0])]

    def reset(self) -> None:
        """See Rule.reset."""
        self._count = SteadyCount(STEADY_SECONDS)
        self._episode = Episode(STAY_SECONDS, RELEASE_SECONDS)
        self._lowest: deque[tuple[float, int]] = deque()
        self._before = (-math.inf, 0)
        self._begun = math.inf
        self._last = -math.inf
        self._standing.forget()

    def _begin_anew(self, scene: Scene) -> None:
        """After a gap nobody knows who came in it."""
        if not 0.0 <= scene.time - self._last <= LONGEST_GAP_SECONDS:
            self.reset()
            self._begun = scene.time
        self._last = scene.time

    def _remember(self, time: float, count: int) -> tuple[float, int]:
        """The last moment of the time at which the fewest stood, and how many."""
        # Rising counts only: an earlier one that was higher can never be the lowest any more.
        while self._lowest and self._lowest[-1][1] >= count:
            self._lowest.pop()
        self._lowest.append((time, count))
        while time - self._lowest[0][0] > self._parameters.within:
            self._lowest.popleft()
        return self._lowest[0]


class _Standing(Protocol):
    def among(self, scene: Scene, inside: Flags) -> Flags:
        """Which of those inside stand, n."""

    def forget(self) -> None:
        """Begin anew."""


class _StandingOnGround:
    def among(self, scene: Scene, inside: Flags) -> Flags:
        movements = scene.movements(MOVEMENT_SECONDS)
        return inside & movements.known & (movements.speed < STANDING_SPEED)

    def forget(self) -> None:
        """The trails are the scene's."""


class _StandingInPicture:
    """By the mean of the tracker's velocities, which in a single frame are those of a trembling box."""

    def __init__(self) -> None:
        self._means: dict[int, tuple[float, float, float]] = {}

    def among(self, scene: Scene, inside: Flags) -> Flags:
        for track in scene.ended:
            self._means.pop(track, None)
        standing = inside.copy()
        standing[inside] = [self._speed(item, scene.time) < STANDING_HEIGHTS for item in scene.those(inside)]
        return standing

    def forget(self) -> None:
        self._means.clear()

    def _speed(self, presence: Presence, time: float) -> float:
        """Heights per second."""
        x, y = (part / presence.height for part in presence.velocity)
        last, mean_x, mean_y = self._means.get(presence.track, (time, x, y))
        share = 1.0 - math.exp(-max(0.0, time - last) / MOVEMENT_SECONDS)
        mean_x, mean_y = mean_x + share * (x - mean_x), mean_y + share * (y - mean_y)
        self._means[presence.track] = (time, mean_x, mean_y)
        return math.hypot(mean_x, mean_y)
