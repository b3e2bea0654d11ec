from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.domain.geometry import MAXIMUM_POINTS, Point, inside_picture, polygon_problems, polyline_problems

SQUARE: list[Point] = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


@pytest.mark.parametrize(
    "points",
    [
        SQUARE,
        SQUARE[::-1],
        [(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)],
        # concave, with a corner that comes near to a side and does not touch it
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.01), (0.0, 1.0)],
    ],
)
def test_a_simple_polygon_is_accepted(points: list[Point]) -> None:
    assert polygon_problems(points) == []


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([], "3 to 128"),
        ([(0.1, 0.1), (0.2, 0.2)], "3 to 128"),
        ([(0.5, 0.5)] * (MAXIMUM_POINTS + 1), "3 to 128"),
        ([(-0.01, 0.0), (1.0, 0.0), (1.0, 1.0)], "outside"),
        ([(0.0, 0.0), (1.0, 0.0), (1.0, 1.01)], "outside"),
        ([(0.0, 0.0), (math.nan, 0.0), (1.0, 1.0)], "outside"),
        ([(0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0)], "the same"),
        ([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)], "cross"),  # a bow tie
        ([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)], "cross"),  # no area
        ([(0.0, 0.0), (1.0, 0.0), (0.5, 0.0), (0.5, 1.0)], "cross"),  # a side folds back on the one before
        ([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.0), (0.0, 1.0)], "cross"),  # a corner touches a side
        ([(0.0, 0.0), (0.5, 0.5), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0)], "cross"),  # two corners touch
    ],
)
def test_a_wrong_polygon_is_explained(points: list[Point], word: str) -> None:
    assert any(word in problem for problem in polygon_problems(points))


def test_all_problems_are_told_at_once() -> None:
    assert len(polygon_problems([(2.0, 0.0), (2.0, 0.0)])) == 3


@pytest.mark.parametrize("points", [[(0.0, 0.0), (1.0, 1.0)], [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]])
def test_a_polyline_may_cross_itself(points: list[Point]) -> None:
    assert polyline_problems(points) == []


@pytest.mark.parametrize("points", [[], [(0.5, 0.5)], [(0.5, 0.5), (0.5, 0.5)], [(0.5, 0.5), (0.5, 1.5)]])
def test_a_wrong_polyline_is_refused(points: list[Point]) -> None:
    assert polyline_problems(points)


grid = st.integers(0, 64).map(lambda n: n / 64)  # exact in binary, so that the geometry below is exact too
points_in_picture = st.lists(st.tuples(grid, grid), min_size=3, max_size=12, unique=True)


@given(st.lists(st.floats(0.05, 1.0), min_size=3, max_size=20), st.floats(0.0, 0.02))
def test_star_shaped_outlines_are_simple(radii: list[float], turn: float) -> None:
    count = len(radii)
    outline = [
        (
            0.5 + 0.49 * radius * math.cos(2 * math.pi * (index + turn) / count),
            0.5 + 0.49 * radius * math.sin(2 * math.pi * (index + turn) / count),
        )
        for index, radius in enumerate(radii)
    ]
    if count == 3:
        # The centre of three spokes lies inside, so the triangle has an area.
        assume(min(radii) > 0.06)

    assert polygon_problems(outline) == []


@given(points_in_picture, st.integers(0, 11), st.booleans())
def test_neither_start_nor_direction_matters(points: list[Point], start: int, turned: bool) -> None:  # noqa: FBT001
    start %= len(points)
    again = points[start:] + points[:start]
    if turned:
        again.reverse()

    assert bool(polygon_problems(again)) == bool(polygon_problems(points))


@given(points_in_picture, st.integers(0, 11), st.integers(0, 11))
def test_a_corner_that_lies_on_another_side_is_found(points: list[Point], side: int, corner: int) -> None:
    side %= len(points)
    a, b = points[side], points[(side + 1) % len(points)]
    middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    position = (side + 2 + corner % (len(points) - 1)) % len(points)
    assume(position not in (side, (side + 1) % len(points)))
    touching = [*points[:position], middle, *points[position:]]
    assume(touching.index(middle) == position)
    before, after = touching[position - 1], touching[(position + 1) % len(touching)]
    assume({before, after}.isdisjoint({middle}))
    assume(not {a, b} & {before, after})

    assert polygon_problems(touching)


@given(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)))
def test_inside_means_within_both_bounds(point: Point) -> None:
    assert inside_picture(point) == all(value == min(max(value, 0.0), 1.0) for value in point)
