from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.cartography import EARTH_METRES_PER_DEGREE, Pixel, Position, Projection, convex_hull

TURIN = [Position(45.03, 7.60), Position(45.12, 7.72), Position(45.07, 7.68)]
positions = st.builds(Position, st.floats(44, 46), st.floats(7, 9))
pixels = st.builds(Pixel, st.integers(0, 50).map(float), st.integers(0, 50).map(float))


@given(st.lists(positions, min_size=1, max_size=30))
def test_every_position_is_inside_the_picture_with_a_margin(found: list[Position]) -> None:
    projection = Projection.around(found, 960)

    for pixel in map(projection.pixel, found):
        assert 0 < pixel.x < 960
        assert 0 < pixel.y < projection.height
    assert projection.height <= 960 * 1.3


def test_north_is_up_and_east_is_right() -> None:
    projection = Projection.around(TURIN, 960)
    south_west, north_east = projection.pixel(TURIN[0]), projection.pixel(TURIN[1])

    assert south_west.x < north_east.x
    assert south_west.y > north_east.y


def test_a_kilometre_is_as_long_across_as_it_is_up() -> None:
    projection = Projection.around(TURIN, 960)
    middle = (projection.south + projection.north) / 2
    degree = 1000 / EARTH_METRES_PER_DEGREE
    here = projection.pixel(Position(middle, 7.65))
    up = projection.pixel(Position(middle + degree, 7.65))
    across = projection.pixel(Position(middle, 7.65 + degree / math.cos(math.radians(middle))))

    assert here.y - up.y == pytest.approx(across.x - here.x)


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    projection = Projection.around(TURIN, 960)
    metres, length = projection.scale()
    a = projection.pixel(Position(45.07, 7.65))
    b = projection.pixel(Position(45.07 + metres / EARTH_METRES_PER_DEGREE, 7.65))

    assert length == pytest.approx(a.y - b.y)
    assert length <= 320


def test_the_grid_has_round_degrees_inside_the_picture() -> None:
    projection = Projection.around(TURIN, 960)

    assert projection.parallels() == [45.04, 45.06, 45.08, 45.1, 45.12]
    for degrees in projection.meridians():
        assert projection.west <= degrees <= projection.east


def test_a_single_place_has_a_map_too() -> None:
    assert Projection.around(TURIN[:1], 960).pixel(TURIN[0]).x == pytest.approx(480)


def test_no_place_has_none() -> None:
    with pytest.raises(ValueError, match="position"):
        Projection.around([], 960)


@given(st.lists(pixels, max_size=40))
def test_a_hull_is_convex_and_holds_all_points(points: list[Pixel]) -> None:
    hull = convex_hull(points)

    assert set(hull) <= set(points)
    if len(hull) > 2:
        for a, b in zip(hull, hull[1:] + hull[:1], strict=True):
            assert all((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x) >= 0 for p in points)


def test_points_on_a_line_have_no_area() -> None:
    assert len(convex_hull([Pixel(0, 0), Pixel(1, 1), Pixel(2, 2)])) == 2
    assert convex_hull([Pixel(3, 4), Pixel(3, 4)]) == [Pixel(3, 4)]
