"""Detections with a margin, carried over the frames in which the detector misses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anonymizer.domain.verdict import Boxes, ObjectClass, Verdict


@dataclass(frozen=True, slots=True)
class CoastingRules:
    """How detections become areas.

    Attributes:
        margin: added on every side, as a share of the box's width and height.
        seconds: how long a detection goes on after its last sighting while verdicts come.
        unverdicted_seconds: the same while none comes.
        growth: by how much of its width and height a coasting box grows on every side per second; somebody who walks
            covers about one body width a second.
        same_object: intersection over union above which a new detection takes an older one's place.
    """

    margin: float = 0.08
    seconds: float = 0.6
    unverdicted_seconds: float = 3.0
    growth: float = 0.15
    same_object: float = 0.4


@dataclass(frozen=True, slots=True)
class Area:
    """A detection as it is masked now.

    Attributes:
        left: 0..1 of the picture's width, as right; top and bottom are 0..1 of its height.
        top: see left.
        right: see left.
        bottom: see left.
        object_class: what lies there.
    """

    left: float
    top: float
    right: float
    bottom: float
    object_class: ObjectClass

    def with_margin(self, share: float) -> Area:
        """Grown on every side by a share of its width and height."""
        across, down = (self.right - self.left) * share, (self.bottom - self.top) * share
        return Area(self.left - across, self.top - down, self.right + across, self.bottom + down, self.object_class)


class Coasting:
    """Remembers detections of one optic."""

    def __init__(self, rules: CoastingRules | None = None) -> None:
        self.rules = rules or CoastingRules()
        self._boxes: Boxes = np.empty((0, 4), np.float32)
        self._classes = np.empty(0, np.int16)
        self._seen = np.empty(0, np.float64)

    def update(self, verdict: Verdict | None, now: float) -> Sequence[Area]:
        """The areas to mask in the frame that was captured at `now` (seconds), with this verdict or without one."""
        lifetime = self.rules.unverdicted_seconds if verdict is None else self.rules.seconds
        age = now - self._seen
        going_on = (age >= 0) & (age <= lifetime)
        fresh = Verdict.empty(0) if verdict is None else verdict
        if len(fresh.classes) and len(self._seen):
            going_on &= overlaps(self._boxes, fresh.boxes).max(axis=1) < self.rules.same_object
        self._boxes = np.concatenate([self._boxes[going_on], fresh.boxes])
        self._classes = np.concatenate([self._classes[going_on], fresh.classes])
        self._seen = np.concatenate([self._seen[going_on], np.full(len(fresh.classes), now)])
        margins = self.rules.margin + self.rules.growth * (now - self._seen)
        return [
            area.with_margin(float(margin))
            for area, margin in zip(_areas(self._boxes, self._classes), margins, strict=True)
        ]

    def forget(self) -> None:
        """Forgets all detections."""
        self._boxes, self._classes, self._seen = self._boxes[:0], self._classes[:0], self._seen[:0]


def areas_of(verdict: Verdict) -> list[Area]:
    """The detections of a verdict, without margin."""
    return _areas(verdict.boxes, verdict.classes)


def overlaps(left: Boxes, right: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of every pair: len(left) x len(right). Boxes without area overlap nothing."""
    corner_low = np.maximum(left[:, None, :2], right[None, :, :2])
    corner_high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.maximum(corner_high - corner_low, 0.0), axis=2)
    union = _extents(left)[:, None] + _extents(right)[None, :] - shared
    iou: npt.NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
    return iou


def _extents(boxes: Boxes) -> npt.NDArray[np.float32]:
    extents: npt.NDArray[np.float32] = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    return extents


def _areas(boxes: Boxes, classes: npt.NDArray[np.int16]) -> list[Area]:
    sides = np.clip(boxes, -1.0, 2.0).tolist()
    return [
        Area(left, top, right, bottom, _known_class(number))
        for (left, top, right, bottom), number in zip(sides, classes.tolist(), strict=True)
    ]


def _known_class(number: int) -> ObjectClass:
    try:
        return ObjectClass(number)
    except ValueError:
        return ObjectClass.UNSPECIFIED
