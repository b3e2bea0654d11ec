"""Geometry for many points at once, against the same written for one point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain import geometry

Point = tuple[float, float]

# Whole numbers: then both ways have the same last bits, and edges and corners are met.
whole = st.integers(-8, 8).map(float)
points = st.lists(st.tuples(whole, whole), min_size=1, max_size=12)
chains = st.lists(st.tuples(whole, whole), min_size=2, max_size=6)
polygons = st.lists(st.tuples(whole, whole), min_size=3, max_size=6)


def columns(some: list[Point]) -> np.ndarray:
    return np.array(some, dtype=np.float64).reshape(-1, 2)


@given(polygons, points)
def test_who_is_inside_is_the_same_for_many_as_for_each(polygon: list[Point], some: list[Point]) -> None:
    # A third off: on an edge the order of the operations may decide.
    off = [(x + 1 / 3, y + 1 / 7) for x, y in some]

    assert geometry.contains(polygon, columns(off)).tolist() == [geometry.inside(point, polygon) for point in off]


@given(chains, points)
def test_distances_to_a_line_are_the_same_for_many_as_for_each(chain: list[Point], some: list[Point]) -> None:
    expected = [geometry.distance_to_chain(point, chain) for point in some]

    assert geometry.distances_to_chain(columns(some), chain) == pytest.approx(expected)


@given(chains, st.lists(st.tuples(whole, whole, whole, whole), min_size=1, max_size=12))
def test_crossings_are_the_same_for_many_as_for_each(
    chain: list[Point], walks: list[tuple[float, float, float, float]]
) -> None:
    starts, ends = [walk[:2] for walk in walks], [walk[2:] for walk in walks]
    expected = [geometry.crossings(start, end, chain) for start, end in zip(starts, ends, strict=True)]

    assert geometry.net_crossings(columns(starts), columns(ends), chain).tolist() == expected
