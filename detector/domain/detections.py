"""What a detector says about one frame."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Boxes = npt.NDArray[np.float32]
"""N x 4: left, top, right, bottom in pixels of the analysed frame, origin at its top left corner."""
Scores = npt.NDArray[np.float32]
"""N, in 0..1."""
Classes = npt.NDArray[np.int16]
"""N, values of ObjectClass."""


class ObjectClass(enum.IntEnum):
    """The only things that ARGO looks for. A model's other classes are cut off before it is stored."""

    PERSON = 1
    BICYCLE = 2
    CAR = 3
    MOTORCYCLE = 4
    BUS = 5
    TRAIN = 6
    TRUCK = 7
    ANIMAL = 8
    LUGGAGE = 9


_NUMBERS: Final = range(1 + max(ObjectClass))

OVERLAP_LIMIT: Final = 0.5
"""Intersection over union above which two boxes of one class are taken for one object."""
SUPPRESSION_BLOCK: Final = 512
"""Detections compared with each other at a time."""


def among(classes: Classes, wanted: Collection[ObjectClass]) -> npt.NDArray[np.bool_]:
    """Which of some classes are among the wanted ones, n."""
    table = np.array([number in wanted for number in _NUMBERS], dtype=np.bool_)
    found: npt.NDArray[np.bool_] = table[classes]
    return found


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes of one frame, highest score first.

    Attributes:
        boxes: float32, N x 4, pixels of the analysed frame.
        scores: float32, N.
        classes: int16, N.
    """

    boxes: Boxes
    scores: Scores
    classes: Classes

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.classes.shape != (count,):
            raise ValueError(f"boxes {self.boxes.shape}, scores {self.scores.shape}, classes {self.classes.shape}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """Looked, and found nothing."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int16))

    def where(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Detections:
        """The detections at these positions."""
        return Detections(self.boxes[keep], self.scores[keep], self.classes[keep])


def meetings(left: Boxes, right: Boxes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The pairs of boxes that have some area in common: their positions in `left`, and in `right`.

    In a crowd each box meets a handful of the others: what is worked out for pairs is worked out for these.
    """
    lefts, tops, rights, bottoms = left.T.copy()[:, :, None]
    other_lefts, other_tops, other_rights, other_bottoms = right.T.copy()
    meets = lefts < other_rights
    meets &= rights > other_lefts
    meets &= tops < other_bottoms
    meets &= bottoms > other_tops
    first, second = np.divmod(np.flatnonzero(meets), max(1, len(right)))
    return first, second


def overlaps(left: Boxes, right: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of every pair, float32, len(left) x len(right). Boxes without area overlap nothing."""
    found = np.zeros((len(left), len(right)), dtype=np.float32)
    first, second = meetings(left, right)
    found[first, second] = overlaps_of(left[first], right[second])
    return found


def overlaps_of(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of each box with the other at its position, float32, n."""
    lefts, tops, rights, bottoms = boxes.T.copy()
    other_lefts, other_tops, other_rights, other_bottoms = others.T.copy()
    widths = np.maximum(np.minimum(rights, other_rights) - np.maximum(lefts, other_lefts), 0.0)
    heights = np.maximum(np.minimum(bottoms, other_bottoms) - np.maximum(tops, other_tops), 0.0)
    intersection = widths * heights
    union = areas(boxes) + areas(others) - intersection
    overlap: npt.NDArray[np.float32] = intersection / np.maximum(union, np.finfo(np.float32).tiny)
    return overlap


def areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    """Area of each box in square pixels, float32, N; zero for a box turned inside out."""
    lefts, tops, rights, bottoms = boxes.T
    area: npt.NDArray[np.float32] = np.maximum(rights - lefts, 0.0) * np.maximum(bottoms - tops, 0.0)
    return area


def suppress(detections: Detections, limit: float = OVERLAP_LIMIT) -> Detections:
    """Greedy non-maximum suppression within each class.

    Args:
        detections: highest score first.
        limit: a box that overlaps a better one of its class by more than this is dropped.
    """
    kept = np.empty(0, dtype=np.intp)
    # In blocks, so that a crowd's thousands of candidates never become a square matrix.
    for start in range(0, len(detections), SUPPRESSION_BLOCK):
        block = np.arange(start, min(start + SUPPRESSION_BLOCK, len(detections)))
        block = block[~_covers(detections, kept, block, limit).any(axis=0)]
        kept = np.concatenate([kept, block[_greedy(_covers(detections, block, block, limit))]])
    return detections.where(kept)


def _covers(
    detections: Detections, better: npt.NDArray[np.intp], worse: npt.NDArray[np.intp], limit: float
) -> npt.NDArray[np.bool_]:
    """Which detection hides which, if it is kept itself: len(better) x len(worse)."""
    same_class = detections.classes[better, None] == detections.classes[worse]
    covers: npt.NDArray[np.bool_] = (overlaps(detections.boxes[better], detections.boxes[worse]) > limit) & same_class
    return covers


def _greedy(covers: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    keep = np.ones(len(covers), dtype=np.bool_)
    for index in np.flatnonzero(np.triu(covers, 1).any(axis=1)):
        if keep[index]:
            keep[index + 1 :] &= ~covers[index, index + 1 :]
    return keep


def ordered(boxes: Boxes, scores: Scores, classes: Sequence[int] | Classes) -> Detections:
    """Detections sorted by falling score; equal scores keep their order."""
    order = np.argsort(-scores, kind="stable")
    numbers = np.asarray(classes, dtype=np.int16)
    return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), numbers[order])
