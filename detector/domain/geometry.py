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
    corners = np.array(chain, dtype=np.float64)
    starts, along = corners[:-1], np.diff(corners, axis=0)
    offsets = points[:, None] - starts
    length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    shares = np.clip((offsets * along).sum(axis=2) / length, 0.0, 1.0)
    distances: Floats = np.sqrt(((offsets - shares[:, :, None] * along) ** 2).sum(axis=2).min(axis=1))
    return distances


def net_crossings(starts: Floats, ends: Floats, chain: Chain) -> npt.NDArray[np.int64]:
    """How often each straight walk crosses a polyline, net, n; see `crossings`.

    Args:
        starts: n x 2.
        ends: n x 2.
        chain: vertices of the polyline.
    """
    corners = np.array(chain, dtype=np.float64)
    first, second = corners[:-1], corners[1:]
    before, after = _turns(first, second, starts[:, None]), _turns(first, second, ends[:, None])
    walks, ways = starts[:, None], ends[:, None]
    passes = (_turns(walks, ways, first) <= 0.0) != (_turns(walks, ways, second) <= 0.0)
    crossed = ((before <= 0.0) != (after <= 0.0)) & passes
    total: npt.NDArray[np.int64] = np.where(crossed, np.where(after > 0.0, 1, -1), 0).sum(axis=1)
    return total


def _turns(starts: Floats, ends: Floats, points: Floats) -> Floats:
    """See `turn`; the last axis of each is x and y."""
    along, to_point = ends - starts, points - starts
    turns: Floats = along[..., 0] * to_point[..., 1] - along[..., 1] * to_point[..., 0]
    return turns


def distance_to_polygon(point: Point, polygon: Chain) -> float:
    """0 inside a polygon, outside it the shortest way to its edge."""
    return 0.0 if inside(point, polygon) else distance_to_chain(point, [*polygon, polygon[0]])
