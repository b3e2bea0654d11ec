"""Who is who between two frames: the cheapest one-to-one assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from detector.domain.detections import Boxes, Scores, meetings, overlaps_of

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.intp]

_FORBIDDEN: Final = 1e6
_HEIGHT_SHARE: Final = 0.5
"""How much of a fit two heights have a say in: somebody behind stands higher up in the picture and is smaller."""
_SCORE_SHARE: Final = 0.5
"""How much of a fit the score has a say in: of two boxes in one place the clear one is the object."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Pairs, and what is left over, as positions into the two sides.

    Attributes:
        rows: row of each pair.
        columns: column of each pair, in the same order.
        free_rows: rows without a partner.
        free_columns: columns without a partner.
    """

    rows: Indices
    columns: Indices
    free_rows: Indices
    free_columns: Indices


def assign(cost: Floats, limit: float) -> Assignment:
    """The assignment with most pairs of a cost below `limit`, and of those the cheapest in sum.

    Args:
        cost: rows x columns; infinite where a pair is out of the question.
        limit: pairs at or above this cost stay apart.
    """
    allowed = np.where(cost < limit, cost, _FORBIDDEN)
    rows, columns = linear_sum_assignment(allowed)
    good = allowed[rows, columns] < _FORBIDDEN
    rows, columns = rows[good], columns[good]
    return Assignment(rows, columns, _others(rows, cost.shape[0]), _others(columns, cost.shape[1]))


def _others(taken: Indices, total: int) -> Indices:
    free = np.ones(total, dtype=np.bool_)
    free[taken] = False
    return np.flatnonzero(free)


def misfits(
    expected: Boxes, found: Boxes, scores: Scores, widening: float, margins: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How badly each detection fits each track, 0 to 1, infinite where they do not meet; len(expected) x len(found).

    One minus the overlap of the widened boxes, which counts less when the heights differ or the score is low. Widened
    boxes still meet when a small object has moved by its own width (buffered IoU: Yang et al., WACV 2023); heights tell
    who stands behind (Hybrid-SORT: Yang et al., AAAI 2024).

    Args:
        expected: where the tracks should be, float32, pixels.
        found: the detections, float32, pixels.
        scores: of the detections.
        widening: boxes are compared widened by this share of their size on every side,
        margins: and by so many pixels more, both boxes of a pair, along x and y; len(expected) x 2.
    """
    cost = np.full((len(expected), len(found)), np.inf)
    wide, others = _widened(expected, widening), _widened(found, widening)
    outwards = np.concatenate([-margins, margins], axis=1).astype(np.float32)
    pairs = rows, columns = meetings(wide + 2 * outwards, others)
    overlap = overlaps_of((wide + outwards)[rows], others[columns] + outwards[rows]).astype(np.float64)
    heights = np.maximum(expected[:, 3] - expected[:, 1], 1.0)[rows]
    other_heights = np.maximum(found[:, 3] - found[:, 1], 1.0)[columns]
    alike = np.minimum(heights, other_heights) / np.maximum(heights, other_heights)
    clear = 1.0 - _SCORE_SHARE + _SCORE_SHARE * scores[columns]
    fit = overlap * (1.0 - _HEIGHT_SHARE + _HEIGHT_SHARE * alike) * clear
    cost[pairs] = np.where(overlap > 0.0, 1.0 - fit, np.inf)
    return cost


def reaches(expected: Boxes, found: Boxes, margins: npt.NDArray[np.float64], alike: float) -> npt.NDArray[np.float64]:
    """One minus the overlap of boxes that are widened together, infinite where the heights differ too much.

    Args:
        expected: where the tracks should be, float32, pixels.
        found: the detections, float32, pixels.
        margins: len(expected) x 2: by how many pixels both boxes of a pair are widened to every side along x and y.
        alike: the smaller of two heights is at least this share of the larger one.

    Returns:
        len(expected) x len(found).
    """
    low = np.maximum(expected[:, None, :2], found[:, :2]) - margins[:, None]
    high = np.minimum(expected[:, None, 2:], found[:, 2:]) + margins[:, None]
    common = np.maximum(high - low, 0.0).prod(axis=2)
    sizes, others = expected[:, 2:] - expected[:, :2], found[:, 2:] - found[:, :2]
    union = (sizes + 2 * margins).prod(axis=1)[:, None] + (others + 2 * margins[:, None]).prod(axis=2) - common
    heights, other_heights = np.maximum(sizes[:, 1], 1.0)[:, None], np.maximum(others[:, 1], 1.0)
    similar = np.minimum(heights, other_heights) >= alike * np.maximum(heights, other_heights)
    return np.where(similar & (common > 0.0), 1.0 - common / union, np.inf)


def covered_share(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """The largest share of each box that lies under one of the others; float32, len(boxes)."""
    if not len(boxes) or not len(others):
        return np.zeros(len(boxes), dtype=np.float32)
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(boxes[:, None, 2:], others[:, 2:])
    sides = np.maximum(high - low, 0.0)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    share: npt.NDArray[np.float32] = (sides[..., 0] * sides[..., 1]).max(axis=1) / (size[:, 0] * size[:, 1])
    return share


def _widened(boxes: Boxes, share: float) -> Boxes:
    lefts, tops, rights, bottoms = boxes.T
    across, down = (rights - lefts) * share, (bottoms - tops) * share
    return np.stack([lefts - across, tops - down, rights + across, bottoms + down], axis=1, dtype=np.float32)
