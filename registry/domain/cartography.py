"""A plain map of points of a city: projection, convex hulls, a grid of degrees, a scale; no tiles, no outside data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

EARTH_METRES_PER_DEGREE = 111_320.0
"""Along a meridian; a degree of longitude is shorter by the cosine of the latitude."""

_LEAST_SPAN_DEGREES = 0.01
_GRID_STEPS_DEGREES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_GRID_LINES = 6
_LARGEST_ASPECT = 1.25
CORNERS_OF_AN_AREA = 3
_SCALE_STEPS_METRES = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 500_000)


class Position(NamedTuple):
    """WGS 84 degrees."""

    latitude: float
    longitude: float


class Pixel(NamedTuple):
    """A point of the picture, from its upper left corner."""

    x: float
    y: float


@dataclass(frozen=True)
class Projection:
    """Equirectangular, true to scale at the middle latitude: good to a thousandth over a city.

    Attributes:
        south, west, north, east: edges in degrees.
        width, height: of the picture, in pixels.
    """

    south: float
    west: float
    north: float
    east: float
    width: float
    height: float

    @classmethod
    def around(cls, positions: Sequence[Position], width: float, margin: float = 0.08) -> Projection:
        """The projection that shows all positions with a margin, as a share of the span, on each side.

        Raises:
            ValueError: there is no position.
        """
        if not positions:
            raise ValueError("a map needs a position")
        south, north = _padded([position.latitude for position in positions], margin)
        west, east = _padded([position.longitude for position in positions], margin)
        shortening = math.cos(math.radians((south + north) / 2))
        # A narrow city gets empty land to its sides, so that the picture is never much taller than wide.
        missing = (north - south) / (_LARGEST_ASPECT * shortening) - (east - west)
        west, east = west - max(0.0, missing) / 2, east + max(0.0, missing) / 2
        return cls(south, west, north, east, width, width * (north - south) / ((east - west) * shortening))

    def pixel(self, position: Position) -> Pixel:
        """Where a position is in the picture."""
        return Pixel(
            (position.longitude - self.west) / (self.east - self.west) * self.width,
            (self.north - position.latitude) / (self.north - self.south) * self.height,
        )

    def parallels(self) -> list[float]:
        """Latitudes of the grid, round degrees inside the picture."""
        return _round_degrees(self.south, self.north)

    def meridians(self) -> list[float]:
        """Longitudes of the grid, round degrees inside the picture."""
        return _round_degrees(self.west, self.east)

    def scale(self) -> tuple[int, float]:
        """Metres that a scale bar of at most a third of the width stands for, and its length in pixels."""
        pixels_per_metre = self.height / ((self.north - self.south) * EARTH_METRES_PER_DEGREE)
        fitting = [metres for metres in _SCALE_STEPS_METRES if metres * pixels_per_metre <= self.width / 3]
        metres = fitting[-1] if fitting else _SCALE_STEPS_METRES[0]
        return metres, metres * pixels_per_metre


def convex_hull(points: Sequence[Pixel]) -> list[Pixel]:
    """The corners of the smallest convex polygon around points (Andrew's monotone chain, 1979).

    Returns:
        The corners in order around it; fewer than three where the points lie on one line.
    """
    ordered = sorted(set(points))
    if len(ordered) < CORNERS_OF_AN_AREA:
        return ordered
    return _chain(ordered)[:-1] + _chain(ordered[::-1])[:-1]


def _chain(points: Sequence[Pixel]) -> list[Pixel]:
    chain: list[Pixel] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: Pixel, b: Pixel, c: Pixel) -> float:
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)


def _padded(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    span = max(high - low, _LEAST_SPAN_DEGREES)
    middle = (low + high) / 2
    reach = span * (0.5 + margin)
    return middle - reach, middle + reach


def _round_degrees(low: float, high: float) -> list[float]:
    step = next((step for step in _GRID_STEPS_DEGREES if (high - low) / step <= _GRID_LINES), _GRID_STEPS_DEGREES[-1])
    first = math.ceil(low / step)
    return [round(number * step, 2) for number in range(first, math.floor(high / step) + 1)]
