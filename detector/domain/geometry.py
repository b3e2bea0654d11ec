"""Plane geometry on the picture: x to the right, y downwards, any unit as long as it is the same everywhere.

Where many points are asked for at once, they and the answers are arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Point: TypeAlias = tuple[float, float]
Columns: TypeAlias = Point | tuple[Floats, Floats]
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


def contains(polygon: Chain, points: Floats) -> Flags:
    """Which points (n x 2) lie in a polygon, n; see `inside`."""
    x, y = points[:, 0], points[:, 1]
    found: Flags = np.zeros(len(points), dtype=np.bool_)
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if y1 != y2:
            found ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
        x1, y1 = x2, y2
    return found


def distances_to_chain(points: Floats, chain: Chain) -> Floats:
    """The shortest way from each point (n x 2) to a polyline, n; see `distance_to_chain`."""
    x, y = points[:, 0], points[:, 1]
    nearest = np.full(len(points), np.inf)
    for (x1, y1), (x2, y2) in segments(chain):
        along_x, along_y = x2 - x1, y2 - y1
        length = along_x**2 + along_y**2 or 1.0
        shares = np.minimum(np.maximum(((x - x1) * along_x + (y - y1) * along_y) / length, 0.0), 1.0)
        distances = np.hypot(x - x1 - shares * along_x, y - y1 - shares * along_y)
        nearest = np.minimum(nearest, distances)
    return nearest


def net_crossings(starts: Floats, ends: Floats, chain: Chain) -> npt.NDArray[np.int64]:
    """How often each straight walk crosses a polyline, net, n; see `crossings`.

    Args:
        starts: n x 2.
        ends: n x 2.
        chain: vertices of the polyline.
    """
    begin, end = (starts[:, 0], starts[:, 1]), (ends[:, 0], ends[:, 1])
    total = np.zeros(len(starts), dtype=np.int64)
    for first, second in segments(chain):
        before, after = _turns(first, second, begin), _turns(first, second, end)
        across = (before <= 0.0) != (after <= 0.0)
        across &= (_turns(begin, end, first) <= 0.0) != (_turns(begin, end, second) <= 0.0)
        total += np.where(across, np.where(after > 0.0, 1, -1), 0)
    return total


def _turns(start: Columns, end: Columns, point: Columns) -> Floats:
    """See `turn`; each is one point, or the x and the y of many."""
    return np.asarray((end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0]))


def distance_to_polygon(point: Point, polygon: Chain) -> float:
    """0 inside a polygon, outside it the shortest way to its edge."""
    return 0.0 if inside(point, polygon) else distance_to_chain(point, [*polygon, polygon[0]])
