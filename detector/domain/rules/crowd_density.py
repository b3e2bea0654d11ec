"""Persons per square metre of a zone's ground, over ten seconds, against a threshold.

The default of two per square metre is the capacity to which Italian crowd safety planning refers (directive
11001/1/110/(10) of 18 July 2018). It says nothing of danger yet: touch becomes involuntary at 3.6, forces dangerous at
5.6 persons per square metre (Helbing and Mukerji: EPJ Data Science 1:7, 2012, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.crowd import Density, DensityMeter, Scale, level_of_service
from detector.domain.ground_zone import AreaUnknownError, GroundZone
from detector.domain.rules import ClassFilter, Firing, RuleCannotRunError, require_calibration
from detector.domain.rules.episode import Episode
from detector.domain.rules.occupants import explain, occupants, people_unless_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Scene

DEFAULT_THRESHOLD: Final = 2.0
DEFAULT_DURATION_SECONDS: Final = 10.0
CLEARLY_BELOW_SHARE: Final = 0.8
"""It is clearly below its threshold at this share of it,"""
RELEASE_SECONDS: Final = 5.0
"""for this long, after ten seconds of averaging."""
_SCALE_NAMES: Final[Mapping[Scale, str]] = {Scale.WALKWAY: "walkway", Scale.QUEUE: "queue"}


@dataclass(frozen=True, slots=True)
class CrowdDensityParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        threshold: persons per square metre.
        minimum_duration: for how long, seconds.
        scale: which of Fruin's scales its level of service is read from.
    """

    zone: str
    threshold: float = DEFAULT_THRESHOLD
    minimum_duration: float = DEFAULT_DURATION_SECONDS
    scale: Scale = Scale.WALKWAY

    def build(self, places: Places, classes: ClassFilter) -> CrowdDensity:
        """See RuleParameters.build."""
        zone, calibration = places.zones[self.zone], require_calibration(places)
        try:
            ground = GroundZone.survey(zone, calibration)
        except AreaUnknownError as error:
            raise RuleCannotRunError(str(error)) from error
        return CrowdDensity(self, zone, ground, classes)


class CrowdDensity:
    """Fires when the mean density of a zone has reached its threshold for a while.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        ground: the same on the ground.
        classes: who counts; none means persons.
    """

    topic = "Argo/CrowdDensity"

    def __init__(
        self, parameters: CrowdDensityParameters, zone: tuple[Point, ...], ground: GroundZone, classes: ClassFilter
    ) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._ground = ground
        self._classes = people_unless_said(classes)
        self.reset()

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        present = occupants(scene, self._zone, self._classes)
        self._meter.step(scene.time, {item.track: item.ground for item in present if item.ground})
        mean, threshold = self._meter.mean, self._parameters.threshold
        if mean is None:
            # Not known is neither high nor low.
            return []
        told = self._episode.step(scene.time, holds=mean >= threshold, over=mean <= CLEARLY_BELOW_SHARE * threshold)
        density = self._meter.density() if told else None
        if density is None:
            return []
        return [
            explain(
                scene,
                self._zone,
                present,
                (_quantity(density, self._parameters.scale), "persons/m²", density.mean, threshold),
                start_time=self._episode.since,
                uncertainty=density.uncertainty,
            )
        ]

    def reset(self) -> None:
        """See Rule.reset."""
        self._meter = DensityMeter(self._ground)
        self._episode = Episode(self._parameters.minimum_duration, RELEASE_SECONDS)


def _quantity(density: Density, scale: Scale) -> str:
    level = level_of_service(density.mean, scale)
    parts = [
        f"level of service {level}, {_SCALE_NAMES[scale]}",
        f"densest {density.block_area:.0f} m²: {density.peak:.1f} persons/m²",
    ]
    if density.trend is not None:
        parts.append(f"trend {density.trend.slope:+.2f} ± {density.trend.error:.2f} persons/m² per minute")
    return f"mean density over 10 s ({'; '.join(parts)})"
