"""Shapes in the picture: points are ``(x, y)``, normalised to 0..1, origin at the top left corner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Point = tuple[float, float]

MAXIMUM_POINTS = 128
"""An outline drawn by hand has a dozen; the bound keeps the quadratic test of self-intersection short."""

_FLOAT_ERROR = 1e-6

MINIMUM_CALIBRATION_POINTS = 4
"""A homography has eight unknowns, and each pair of points gives two equations."""


def polygon_problems(points: Sequence[Point]) -> list[str]:
    """Everything that is wrong with a closed outline, in words; empty if it is a simple polygon inside the picture.

    Args:
        points: the corners in order; the last joins the first.
    """
    problems = _common_problems(points, minimum=3, what="a polygon")
    if not problems and not _is_simple(points):
        problems.append("its sides must not touch or cross one another")
    return problems


def polyline_problems(points: Sequence[Point]) -> list[str]:
    """Everything that is wrong with an open chain of segments, in words."""
    return _common_problems(points, minimum=2, what="a polyline")


def inside_picture(point: Point) -> bool:
    """Whether both coordinates lie in 0..1; a NaN does not."""
    return all(0.0 <= coordinate <= 1.0 for coordinate in point)


def crop_problem(left: float, top: float, width: float, height: float) -> str | None:
    """What is wrong with a part of the picture, in words; None if nothing is.

    Args:
        left: x of its left side, normalised like ``top``.
        top: y of its upper side.
        width: along x.
        height: along y.
    """
    # Sums of coordinates that came as 32-bit floats.
    inside = left >= 0 and top >= 0 and left + width <= 1 + _FLOAT_ERROR and top + height <= 1 + _FLOAT_ERROR
    return None if inside and width > 0 and height > 0 else "must have a width and height and lie inside the picture"


def _common_problems(points: Sequence[Point], *, minimum: int, what: str) -> list[str]:
    problems = []
    if not minimum <= len(points) <= MAXIMUM_POINTS:
        problems.append(f"{what} has {minimum} to {MAXIMUM_POINTS} points, not {len(points)}")
    outside = [str(index) for index, point in enumerate(points) if not inside_picture(point)]
    if outside:
        problems.append(f"points lie outside the picture (0..1): number {', '.join(outside)}, counted from 0")
    if any(points[index] == points[index - 1] for index in range(1, len(points))):
        problems.append("two points in a row are the same")
    return problems


def _is_simple(points: Sequence[Point]) -> bool:
    """Whether no two sides of a polygon share a point, save neighbours their common corner."""
    sides = [(points[index], points[(index + 1) % len(points)]) for index in range(len(points))]
    return not any(_sides_conflict(sides, first, second) for first, second in _pairs(len(sides)))


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for first in range(count) for second in range(first + 1, count))


def _sides_conflict(sides: Sequence[tuple[Point, Point]], first: int, second: int) -> bool:
    (a, b), (c, d) = sides[first], sides[second]
    if second == first + 1:
        return _fold_back(a, b, d)
    if first == 0 and second == len(sides) - 1:
        return _fold_back(c, d, b)
    return _segments_touch(a, b, c, d)


def _fold_back(start: Point, corner: Point, end: Point) -> bool:
    """Whether two sides that share ``corner`` lie on one another."""
    towards_start = (start[0] - corner[0], start[1] - corner[1])
    towards_end = (end[0] - corner[0], end[1] - corner[1])
    dot = towards_start[0] * towards_end[0] + towards_start[1] * towards_end[1]
    return _turn(start, corner, end) == 0 and dot >= 0


def _segments_touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the closed segments ab and cd share a point, by the signs of the four turns."""
    abc, abd = _turn(a, b, c), _turn(a, b, d)
    cda, cdb = _turn(c, d, a), _turn(c, d, b)
    if abc * abd < 0 and cda * cdb < 0:
        return True
    return (
        (abc == 0 and _between(a, b, c))
        or (abd == 0 and _between(a, b, d))
        or (cda == 0 and _between(c, d, a))
        or (cdb == 0 and _between(c, d, b))
    )


def _turn(a: Point, b: Point, c: Point) -> int:
    """The side of line ab on which c lies: 1, 0 or -1."""
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether c, which lies on line ab, lies on the segment."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])
