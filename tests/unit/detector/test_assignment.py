from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.assignment import assign, covered_share, misfits

numbers = st.integers(0, 10_000)
NONE = np.zeros((6, 2))
"""No margin beyond the widening."""


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


def some(seed: int) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    corners = source.uniform(0, 200, (6, 2))
    return np.concatenate([corners, corners + source.uniform(5, 80, (6, 2))], 1).astype(np.float32), source.random(6)


def test_the_same_box_fits_best_when_it_is_clear() -> None:
    here = boxes((100, 50, 120, 110))
    clear, doubtful = (misfits(here, here, np.array([score], np.float32), 0.4, NONE[:1])[0, 0] for score in (1.0, 0.2))

    assert clear == pytest.approx(0.0)
    assert doubtful == pytest.approx(0.4)


def test_of_two_boxes_in_one_place_the_one_of_the_right_height_fits_better() -> None:
    expected, scores = boxes((100, 50, 120, 110)), np.array([0.8, 0.8], np.float32)
    whole, cut = misfits(expected, boxes((102, 50, 122, 110), (100, 61, 120, 110)), scores, 0.0, NONE[:1])[0]

    assert whole < cut


def test_widened_boxes_meet_though_a_small_object_has_moved_by_its_width() -> None:
    before, after, score = boxes((100, 50, 110, 80)), boxes((112, 50, 122, 80)), np.array([0.8], np.float32)

    assert misfits(before, after, score, 0.0, NONE[:1])[0, 0] == np.inf
    assert misfits(before, after, score, 0.4, NONE[:1])[0, 0] < 1.0


@given(numbers)
def test_a_misfit_lies_between_nothing_and_one_or_is_out_of_the_question(seed: int) -> None:
    some_boxes, scores = some(seed)
    found = misfits(some_boxes, some_boxes[::-1], scores.astype(np.float32), 0.4, NONE)

    assert ((found >= 0.0) & ((found < 1.0) | np.isinf(found))).all()


def misfit(
    expected: list[float], found: list[float], score: float, widening: float, margin: tuple[float, float]
) -> float:
    """One of `misfits`, written for a single pair."""
    height, other = expected[3] - expected[1], found[3] - found[1]
    (left, top, right, bottom), (left2, top2, right2, bottom2) = (
        (
            x - (x2 - x) * widening - margin[0],
            y - (y2 - y) * widening - margin[1],
            x2 + (x2 - x) * widening + margin[0],
            y2 + (y2 - y) * widening + margin[1],
        )
        for x, y, x2, y2 in (expected, found)
    )
    across, down = min(right, right2) - max(left, left2), min(bottom, bottom2) - max(top, top2)
    if across <= 0.0 or down <= 0.0:
        return float("inf")
    common = across * down
    overlap = common / ((right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2) - common)
    return 1.0 - overlap * (0.5 + 0.5 * min(height, other) / max(height, other)) * (0.5 + 0.5 * score)


@given(numbers, st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from([0.0, 9.0]))
def test_misfits_of_many_are_those_of_each_pair(seed: int, widening: float, strayed: float) -> None:
    (here, scores), (there, _) = some(seed), some(seed + 1)
    margins = np.random.default_rng(seed).random((6, 2)) * strayed
    expected = [
        [
            misfit(box, other, score, widening, (across, down))
            for other, score in zip(there.tolist(), scores.tolist(), strict=True)
        ]
        for box, (across, down) in zip(here.tolist(), margins.tolist(), strict=True)
    ]

    np.testing.assert_allclose(misfits(here, there, scores.astype(np.float32), widening, margins), expected, atol=1e-4)


@given(numbers)
def test_an_assignment_has_most_pairs_and_of_those_the_cheapest(seed: int) -> None:
    cost = np.where((source := np.random.default_rng(seed)).random((4, 5)) < 0.4, np.inf, source.random((4, 5)))
    found = assign(cost, 0.8)
    pairs = list(zip(found.rows.tolist(), found.columns.tolist(), strict=True))
    ways = [
        sorted(fit for fit in cost[range(4), columns].tolist() if fit < 0.8)
        for columns in itertools.permutations(range(5), 4)
    ]
    best = min(ways, key=lambda way: (-len(way), sum(way)))

    assert sorted(cost[pair] for pair in pairs) == pytest.approx(best)
    assert sorted([*found.rows.tolist(), *found.free_rows.tolist()]) == list(range(4))
    assert sorted([*found.columns.tolist(), *found.free_columns.tolist()]) == list(range(5))


@given(numbers, st.floats(-500, 500), st.floats(1, 10))
def test_a_misfit_does_not_depend_on_where_it_is_or_how_large(seed: int, shift: float, scale: float) -> None:
    here, scores = some(seed)
    there = (here * scale + shift).astype(np.float32)
    near, far = (misfits(each, each[::-1], scores.astype(np.float32), 0.4, NONE) for each in (here, there))

    np.testing.assert_allclose(far, near, rtol=1e-2, atol=1e-3)


def test_the_covered_share_is_that_of_the_largest_cover() -> None:
    hidden = boxes((0, 0, 10, 10), (100, 100, 110, 110))
    found = covered_share(hidden, boxes((5, 0, 50, 10), (0, 0, 2, 10)))

    np.testing.assert_allclose(found, [0.5, 0.0])
    assert covered_share(hidden, boxes()).tolist() == [0.0, 0.0]
    assert covered_share(boxes(), hidden).shape == (0,)
