from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.assignment import covered_share, misfits

numbers = st.integers(0, 10_000)


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


def some(seed: int) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    corners = source.uniform(0, 200, (6, 2))
    return np.concatenate([corners, corners + source.uniform(5, 80, (6, 2))], 1).astype(np.float32), source.random(6)


def test_the_same_box_fits_best_when_it_is_clear() -> None:
    here = boxes((100, 50, 120, 110))
    clear, doubtful = (misfits(here, here, np.array([score], np.float32), 0.4)[0, 0] for score in (1.0, 0.2))

    assert clear == pytest.approx(0.0)
    assert doubtful == pytest.approx(0.4)


def test_of_two_boxes_in_one_place_the_one_of_the_right_height_fits_better() -> None:
    expected, scores = boxes((100, 50, 120, 110)), np.array([0.8, 0.8], np.float32)
    whole, cut = misfits(expected, boxes((102, 50, 122, 110), (100, 61, 120, 110)), scores, 0.0)[0]

    assert whole < cut


def test_widened_boxes_meet_though_a_small_object_has_moved_by_its_width() -> None:
    before, after, score = boxes((100, 50, 110, 80)), boxes((112, 50, 122, 80)), np.array([0.8], np.float32)

    assert misfits(before, after, score, 0.0)[0, 0] == np.inf
    assert misfits(before, after, score, 0.4)[0, 0] < 1.0


@given(numbers)
def test_a_misfit_lies_between_nothing_and_one_or_is_out_of_the_question(seed: int) -> None:
    some_boxes, scores = some(seed)
    found = misfits(some_boxes, some_boxes[::-1], scores.astype(np.float32), 0.4)

    assert ((found >= 0.0) & ((found < 1.0) | np.isinf(found))).all()


@given(numbers, st.floats(-500, 500), st.floats(1, 10))
def test_a_misfit_does_not_depend_on_where_it_is_or_how_large(seed: int, shift: float, scale: float) -> None:
    here, scores = some(seed)
    there = (here * scale + shift).astype(np.float32)
    near, far = (misfits(each, each[::-1], scores.astype(np.float32), 0.4) for each in (here, there))

    np.testing.assert_allclose(far, near, rtol=1e-2, atol=1e-3)


def test_the_covered_share_is_that_of_the_largest_cover() -> None:
    hidden = boxes((0, 0, 10, 10), (100, 100, 110, 110))
    found = covered_share(hidden, boxes((5, 0, 50, 10), (0, 0, 2, 10)))

    np.testing.assert_allclose(found, [0.5, 0.0])
    assert covered_share(hidden, boxes()).tolist() == [0.0, 0.0]
    assert covered_share(boxes(), hidden).shape == (0,)
