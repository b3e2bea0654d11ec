"""Persons per square metre of each zone, from one report of the counts to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.domain.crowd import IntervalDensity
from detector.domain.detections import ObjectClass
from detector.domain.ground_zone import AreaUnknownError, GroundZone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.geometry import Flags
    from detector.domain.scene import Places, Scene


class ZoneDensities:
    """The densities of one optic's zones; of none whose area the calibration cannot give.

    Args:
        places: of the optic.
    """

    def __init__(self, places: Places) -> None:
        self._zones: dict[str, IntervalDensity] = {}
        if places.calibration is None:
            return
        for name, corners in places.zones.items():
            try:
                self._zones[name] = IntervalDensity(GroundZone.survey(corners, places.calibration))
            except AreaUnknownError:
                continue

    def step(self, scene: Scene, occupants: Mapping[str, Flags]) -> None:
        """Take one analysed frame, and by zone who of those present stands in it."""
        persons = scene.of(frozenset({ObjectClass.PERSON}))
        for name, density in self._zones.items():
            density.step(scene.time, int((occupants[name] & persons).sum()))

    def collect(self) -> dict[str, tuple[float, float]]:
        """Zone -> mean and largest density since the last call; see IntervalDensity.collect."""
        return {name: density.collect() for name, density in self._zones.items()}
