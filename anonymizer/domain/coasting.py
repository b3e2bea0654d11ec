"""Detections with a margin, carried over the frames in which the detector misses them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from anonymizer.domain.verdict import CONFIDENT, Boxes, Verdict, are_vehicles


@dataclass(frozen=True, slots=True)
class CoastingRules:
    """How detections become areas.

    Attributes:
        margin: added on every side, as a share of the box's width and height.
        vehicle_margin: the same for a vehicle: it has no arms that leave its box.
        seconds: how long a detection goes on after its last sighting while verdicts come.
        weak_seconds: the same for one that the detector was not sure of.
        unverdicted_seconds: the same for either while no verdict comes.
        growth: by how much of its width and height a coasting box grows on every side per second; somebody who walks
            covers about one body width a second.
        same_object: intersection over union above which a new detection takes an older one's place.
        followed: the same for the one older detection of its class that fits it best: somebody who walks on.
    """

    margin: float = 0.04
    vehicle_margin: float = 0.0
    seconds: float = 0.6
    weak_seconds: float = 0.25
    unverdicted_seconds: float = 3.0
    growth: float = 0.15
    same_object: float = 0.4
    followed: float = 0.1


@dataclass(frozen=True, slots=True)
class Areas:
    """Detections as they are masked now.

    Attributes:
        boxes: N x 4, as they were last seen, see `Boxes`.
        outlines: N x 4, the same with their margins; may reach beyond the picture.
        classes: int16, N, see `Verdict`.
    """

    boxes: Boxes
    outlines: Boxes
    classes: npt.NDArray[np.int16]


class Coasting:
    """Remembers detections of one optic."""

    def __init__(self, rules: CoastingRules | None = None) -> None:
        self.rules = rules or CoastingRules()
        self.forget()

    def forget(self) -> None:
        """Forgets all detections."""
        nothing = Verdict.empty(0)
        self._boxes, self._classes, self._scores = nothing.boxes, nothing.classes, nothing.scores
        self._seen = np.empty(0, np.float64)

    def update(self, verdict: Verdict | None, now: float) -> Areas:
        """The areas to mask in the frame that was captured at `now` (seconds), with this verdict or without one."""
        fresh = Verdict.empty(0) if verdict is None else verdict
        kept = self._going_on(now, unverdicted=verdict is None) & ~self._replaced(fresh)
        self._boxes = np.concatenate([self._boxes[kept], np.clip(fresh.boxes, -1.0, 2.0)])
        self._classes = np.concatenate([self._classes[kept], fresh.classes])
        self._scores = np.concatenate([self._scores[kept], fresh.scores])
        self._seen = np.concatenate([self._seen[kept], np.full(len(fresh.classes), now)])
        margins = np.where(are_vehicles(self._classes), self.rules.vehicle_margin, self.rules.margin)
        margins += self.rules.growth * (now - self._seen)
        return Areas(self._boxes, widened(self._boxes, margins), self._classes)

    def _going_on(self, now: float, *, unverdicted: bool) -> npt.NDArray[np.bool_]:
        age = now - self._seen
        lifetime = np.where(self._scores >= CONFIDENT, self.rules.seconds, self.rules.weak_seconds)
        if unverdicted:
            lifetime = np.full_like(lifetime, self.rules.unverdicted_seconds)
        going_on: npt.NDArray[np.bool_] = (age >= 0) & (age <= lifetime)
        return going_on

    def _replaced(self, fresh: Verdict) -> npt.NDArray[np.bool_]:
        """Which remembered detections are seen again."""
        if not len(fresh.classes) or not len(self._seen):
            return np.zeros(len(self._seen), np.bool_)
        shared = overlaps(self._boxes, fresh.boxes)
        replaced: npt.NDArray[np.bool_] = shared.max(axis=1) >= self.rules.same_object
        if not replaced.all():
            alike = np.where(self._classes[:, None] == fresh.classes[None, :], shared, 0.0)
            before, after = linear_sum_assignment(alike, maximize=True)
            replaced[before[alike[before, after] > self.rules.followed]] = True
        return replaced


def widened(boxes: Boxes, shares: npt.NDArray[np.float64] | float) -> Boxes:
    """Boxes grown on every side by a share of their width and height, each by its own or all by the same."""
    margins = (boxes[:, 2:] - boxes[:, :2]) * np.reshape(shares, (-1, 1))
    return np.concatenate([boxes[:, :2] - margins, boxes[:, 2:] + margins], axis=1).astype(np.float32)


def overlaps(left: Boxes, right: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of every pair: len(left) x len(right). Boxes without area overlap nothing."""
    # Column by column: numpy is slow at reducing axes of two.
    across = np.minimum(left[:, None, 2], right[None, :, 2]) - np.maximum(left[:, None, 0], right[None, :, 0])
    down = np.minimum(left[:, None, 3], right[None, :, 3]) - np.maximum(left[:, None, 1], right[None, :, 1])
    shared = np.maximum(across, 0.0) * np.maximum(down, 0.0)
    union = _extents(left)[:, None] + _extents(right)[None, :] - shared
    iou: npt.NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
    return iou


def _extents(boxes: Boxes) -> npt.NDArray[np.float32]:
    extents: npt.NDArray[np.float32] = np.maximum(boxes[:, 2] - boxes[:, 0], 0.0) * np.maximum(
        boxes[:, 3] - boxes[:, 1], 0.0
    )
    return extents
