"""Greedy suppression against the same written naively."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.domain import detections
from detector.domain.detections import Detections, meetings, ordered, overlaps, suppress

Box = tuple[float, float, float, float]
LIMIT = 0.5


def overlap(left: Sequence[float], right: Sequence[float]) -> float:
    width = min(left[2], right[2]) - max(left[0], right[0])
    height = min(left[3], right[3]) - max(left[1], right[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (left, right))
    return shared / (area - shared)


def naive(found: Detections) -> list[int]:
    kept: list[int] = []
    for index in range(len(found)):
        if all(
            found.classes[index] != found.classes[better] or overlap(found.boxes[index], found.boxes[better]) <= LIMIT
            for better in kept
        ):
            kept.append(index)
    return kept


# Whole numbers: the overlap of two boxes is then the same in float32 and in Python's floats on either side of a half.
SIDES = st.integers(0, 12)
BOXES = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), SIDES, SIDES, st.integers(1, 9), st.integers(1, 9))


@pytest.mark.parametrize("block", [1, 7, 512])
@settings(deadline=None)
@given(st.lists(st.tuples(BOXES, st.integers(1, 2)), max_size=40))
def test_what_is_kept_is_what_the_naive_way_keeps(block: int, things: list[tuple[Box, int]]) -> None:
    scores = np.linspace(0.9, 0.1, len(things), dtype=np.float32)
    boxes = np.array([box for box, _ in things], np.float32).reshape(-1, 4)
    found = ordered(boxes, scores, [kind for _, kind in things])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detections, "SUPPRESSION_BLOCK", block)
        kept = suppress(found, LIMIT)

    assert kept.scores.tolist() == scores[naive(found)].tolist()
    for index in range(len(kept)):
        for other in range(index):
            same = kept.classes[index] == kept.classes[other]
            assert not same or overlap(kept.boxes[index], kept.boxes[other]) <= LIMIT
    for index in range(len(found)):
        assert any(
            kept.classes[better] == found.classes[index]
            and kept.scores[better] >= found.scores[index]
            and (kept.scores[better] == found.scores[index] or overlap(kept.boxes[better], found.boxes[index]) > LIMIT)
            for better in range(len(kept))
        )


def test_a_crowd_of_thousands_of_candidates_is_as_many_people_as_there_are() -> None:
    people = np.array(
        [[column * 20, row * 40, column * 20 + 16, row * 40 + 36] for row in range(10) for column in range(20)]
    )
    shifts = np.random.default_rng(5).uniform(-1, 1, (20, 200, 4))
    boxes = (people + shifts).reshape(-1, 4).astype(np.float32)
    scores = np.random.default_rng(6).permutation(np.linspace(0.1, 0.9, len(boxes), dtype=np.float32))

    assert len(suppress(ordered(boxes, scores, [1] * len(boxes)))) == 200


@settings(deadline=None)
@given(st.lists(BOXES, max_size=8), st.lists(BOXES, max_size=8))
def test_overlaps_of_many_are_those_of_each_pair(left: list[Box], right: list[Box]) -> None:
    boxes, others = (np.array(each, np.float32).reshape(-1, 4) for each in (left, right))
    expected = np.array([[overlap(box, other) for other in right] for box in left]).reshape(len(left), len(right))

    np.testing.assert_allclose(overlaps(boxes, others), expected, rtol=1e-6)
    assert set(zip(*(side.tolist() for side in meetings(boxes, others)), strict=True)) == {
        (row, column) for row, column in zip(*(side.tolist() for side in np.nonzero(expected)), strict=True)
    }
