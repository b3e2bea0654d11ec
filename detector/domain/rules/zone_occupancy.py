"""ONVIF tns1:RuleEngine/CountAggregation/OccupancyCounter with a threshold: too many objects in a zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.rules import ClassFilter, Firing
from detector.domain.rules.episode import Episode
from detector.domain.rules.occupants import SteadyCount, explain, occupants

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Scene

DEFAULT_DURATION_SECONDS: Final = 3.0
STEADY_SECONDS: Final = 1.0
"""The count is the median over this time."""
CLEARLY_BELOW_SHARE: Final = 0.2
"""It is clearly below its threshold by this share of it, and by one object at least,"""
RELEASE_SECONDS: Final = 2.0
"""for this long."""


@dataclass(frozen=True, slots=True)
class ZoneOccupancyParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        threshold: from how many objects on; at least 1.
        minimum_duration: for how long, seconds.
    """

    zone: str
    threshold: int
    minimum_duration: float = DEFAULT_DURATION_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> ZoneOccupancy:
        """See RuleParameters.build."""
        return ZoneOccupancy(self, places.zones[self.zone], classes)


class ZoneOccupancy:
    """Fires when a zone has held too many objects for a while, and again only after it clearly did not.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        classes: who counts.
    """

    topic = "CountAggregation/OccupancyCounter"

    def __init__(self, parameters: ZoneOccupancyParameters, zone: tuple[Point, ...], classes: ClassFilter) -> None:
        self.place = parameters.zone
        self._threshold = parameters.threshold
        self._clearly_below = parameters.threshold - max(1, round(CLEARLY_BELOW_SHARE * parameters.threshold))
        self._zone = zone
        self._classes = classes
        self._count = SteadyCount(STEADY_SECONDS)
        self._episode = Episode(parameters.minimum_duration, RELEASE_SECONDS)

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        present = occupants(scene, self._zone, self._classes)
        count = self._count.step(scene.time, len(present))
        over = count <= self._clearly_below
        if not self._episode.step(scene.time, holds=count >= self._threshold, over=over):
            return []
        measured = ("objects in the zone", "", float(count), float(self._threshold))
        return [explain(scene, self._zone, present, measured, start_time=self._episode.since)]

    def reset(self) -> None:
        """See Rule.reset."""
        self._count.clear()
        self._episode.reset()
