"""Which sites lie so close together that their cameras may see the same."""

from __future__ import annotations

import math
from collections.abc import Mapping

_EARTH_RADIUS_METRES = 6_371_008.8
"""Mean radius (IUGG)."""


class Neighbourhood:
    """The sites as the registry has them. Before it has given them every site is alone."""

    def __init__(self, radius_metres: float) -> None:
        """Takes how far apart neighbours may be."""
        self._radius = radius_metres
        self._neighbours: Mapping[str, frozenset[str]] = {}
        self.points: Mapping[str, tuple[float, float]] = {}
        """Latitude and longitude of each site, degrees, WGS 84."""

    def update(self, points: Mapping[str, tuple[float, float]]) -> None:
        """The registry has given its list."""
        if points == self.points:
            return
        self.points = dict(points)
        self._neighbours = {
            site: frozenset(other for other, there in points.items() if distance(here, there) <= self._radius)
            for site, here in points.items()
        }

    def __call__(self, site: str) -> frozenset[str]:
        """A site and its neighbours."""
        return self._neighbours.get(site) or frozenset((site,))


def distance(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Metres between two points of latitude and longitude in degrees; within a city, where the earth is flat enough."""
    latitude = math.radians((here[0] + there[0]) / 2)
    north = math.radians(there[0] - here[0])
    east = math.radians(there[1] - here[1]) * math.cos(latitude)
    return _EARTH_RADIUS_METRES * math.hypot(north, east)
