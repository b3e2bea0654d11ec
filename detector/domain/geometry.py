"""Plane geometry on the picture: x to the right, y downwards, any unit as long as it is the same everywhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Chain: TypeAlias = Sequence[Point]
"""The vertices of a polyline, or of a polygon whose last point joins the first."""


def scaled(points: Chain, width: float, height: float) -> tuple[Point, ...]:
    """Normalised points (0..1) in the units of a picture of this size."""
    return tuple((x * width, y * height) for x, y in points)


def segments(points: Chain) -> list[tuple[Point, Point]]:
    """The straight pieces of a polyline."""
    return list(itertools.pairwise(points))


def turn(start: Point, end: Point, point: Point) -> float:
    """Twice the signed area of a triangle; positive when `point` lies to the right of somebody walking start to end."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def distance_to_segment(point: Point, start: Point, end: Point) -> float:
    """The shortest way from a point to a segment."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = along_x**2 + along_y**2
    share = 0.0 if length == 0.0 else ((point[0] - start[0]) * along_x + (point[1] - start[1]) * along_y) / length
    share = min(1.0, max(0.0, share))
    return math.dist(point, (start[0] + share * along_x, start[1] + share * along_y))


def distance_to_chain(point: Point, points: Chain) -> float:
    """The shortest way from a point to a polyline."""
    return min(distance_to_segment(point, start, end) for start, end in segments(points))


def crossings(start: Point, end: Point, points: Chain) -> int:
    """How often a straight walk crosses a polyline, net: +1 from its left to its right, -1 from right to left.

    A walk that ends exactly on the polyline has not crossed it yet, so that two walks that meet there count once.
    """
    total = 0
    for first, second in segments(points):
        before, after = turn(first, second, start), turn(first, second, end)
        if (before <= 0.0) == (after <= 0.0):
            continue
        # Half-open at the first vertex: a walk through a joint of two pieces crosses one of them only.
        if (turn(start, end, first) <= 0.0) != (turn(start, end, second) <= 0.0):
            total += 1 if after > 0.0 else -1
    return total


def inside(point: Point, polygon: Chain) -> bool:
    """Whether a point lies in a polygon (ray casting, even-odd rule)."""
    x, y = point
    found = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            found = not found
        x1, y1 = x2, y2
    return found


def distance_to_polygon(point: Point, polygon: Chain) -> float:
    """0 inside a polygon, outside it the shortest way to its edge."""
    return 0.0 if inside(point, polygon) else distance_to_chain(point, [*polygon, polygon[0]])
