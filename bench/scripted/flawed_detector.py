"""What a detector would say of a scripted scene: its boxes, with the kind of errors that detectors make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.scripted.traffic import Box
from detector.domain.detections import Detections, ObjectClass, ordered

Floats = npt.NDArray[np.float64]
Seen = tuple[int, ObjectClass, Box]
"""Whom the script shows: a number that stays theirs, the class, and the true box in pixels."""

MISTAKEN: Final[Mapping[ObjectClass, ObjectClass]] = {
    ObjectClass.PERSON: ObjectClass.BICYCLE,
    ObjectClass.BICYCLE: ObjectClass.MOTORCYCLE,
    ObjectClass.MOTORCYCLE: ObjectClass.BICYCLE,
    ObjectClass.CAR: ObjectClass.TRUCK,
    ObjectClass.TRUCK: ObjectClass.CAR,
    ObjectClass.BUS: ObjectClass.TRUCK,
    ObjectClass.LUGGAGE: ObjectClass.ANIMAL,
}
"""What each class is taken for when it is taken for another."""


@dataclass(frozen=True)
class Errors:
    """How often and by how much a detector is wrong. Lengths are in heights of the box.

    Attributes:
        tremble: standard deviation of each side of a box, new in every frame.
        drift: the same, of an error that lasts,
        drift_seconds: for about this long (first-order autoregressive).
        missed: share of the objects that are not found in a frame.
        hidden: share of a box that one nearer object covers, from which on it is not found.
        confused: share of the detections with a wrong class.
        imagined: mean number of detections of nothing in a frame, at random places.
        score: mean of the scores of what is there; those of what is not are lower by IMAGINED_LOSS.
        score_spread: standard deviation of scores.
    """

    tremble: float = 0.02
    drift: float = 0.02
    drift_seconds: float = 1.0
    missed: float = 0.1
    hidden: float = 0.7
    confused: float = 0.03
    imagined: float = 0.1
    score: float = 0.65
    score_spread: float = 0.1


IMAGINED_LOSS: Final = 0.25
NONE: Final = Errors(0.0, 0.0, 1.0, 0.0, 1.1, 0.0, 0.0, 0.65, 0.0)
"""A detector that is always right."""


class FlawedDetector:
    """A detector of one take.

    Args:
        errors: that it makes.
        seed: of their randomness.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """

    def __init__(self, errors: Errors, seed: int, width: int, height: int) -> None:
        self._errors = errors
        self._random = np.random.default_rng(seed)
        self._width, self._height = width, height
        self._drift: dict[int, Floats] = {}
        self._last = 0.0

    def look(self, time: float, seen: Sequence[Seen]) -> Detections:
        """The detections of one frame, best first.

        Args:
            time: seconds; never less than before.
            seen: whom the script shows in it.
        """
        errors, random = self._errors, self._random
        passed, self._last = time - self._last, time
        true = np.array([box for _, _, box in seen], dtype=np.float64).reshape(-1, 4)
        boxes = true + self._wrong_by([number for number, _, _ in seen], true[:, 3:] - true[:, 1:2], passed)
        found = (random.random(len(seen)) >= errors.missed) & (covered(true) < errors.hidden)
        confused = random.random(len(seen)) < errors.confused
        kinds = [MISTAKEN[kind] if wrong else kind for (_, kind, _), wrong in zip(seen, confused, strict=True)]
        scores = random.normal(errors.score, errors.score_spread, len(seen))
        imagined = self._imagine(sorted({kind for _, kind, _ in seen} or {ObjectClass.PERSON}))
        return ordered(
            np.concatenate([boxes[found], [box for box, _ in imagined]] if imagined else [boxes[found]]).astype(
                np.float32
            ),
            np.concatenate([scores[found], self._low_scores(len(imagined))]).clip(0.05, 0.95).astype(np.float32),
            [int(kinds[index]) for index in np.flatnonzero(found)] + [int(kind) for _, kind in imagined],
        )

    def _wrong_by(self, numbers: Sequence[int], tall: Floats, passed: float) -> Floats:
        """Pixels, n x 4. What lasts keeps its spread whatever the frame rate."""
        errors = self._errors
        kept = float(np.exp(-passed / errors.drift_seconds))
        fresh = self._random.normal(0.0, 1.0, (len(numbers), 4))
        for number, draw in zip(numbers, fresh, strict=True):
            before = self._drift.get(number)
            self._drift[number] = draw if before is None else kept * before + np.sqrt(1.0 - kept**2) * draw
        lasting = np.array([self._drift[number] for number in numbers]).reshape(-1, 4)
        trembling = self._random.normal(0.0, 1.0, (len(numbers), 4))
        wrong: Floats = (errors.drift * lasting + errors.tremble * trembling) * tall
        return wrong

    def _imagine(self, kinds: Sequence[ObjectClass]) -> list[tuple[Floats, ObjectClass]]:
        found = []
        for _ in range(self._random.poisson(self._errors.imagined)):
            tall = self._random.uniform(0.05, 0.25) * self._height
            wide = tall * self._random.uniform(0.4, 1.5)
            x, y = self._random.uniform(0.0, self._width - wide), self._random.uniform(0.0, self._height - tall)
            found.append((np.array([x, y, x + wide, y + tall]), kinds[int(self._random.integers(len(kinds)))]))
        return found

    def _low_scores(self, number: int) -> Floats:
        return self._random.normal(self._errors.score - IMAGINED_LOSS, self._errors.score_spread, number)


def covered(boxes: Floats) -> Floats:
    """The largest share of each box that one nearer box covers; nearer is lower in the picture. NaN covers nothing."""
    found = np.nan_to_num(boxes)
    width = np.minimum(found[:, None, 2], found[None, :, 2]) - np.maximum(found[:, None, 0], found[None, :, 0])
    height = np.minimum(found[:, None, 3], found[None, :, 3]) - np.maximum(found[:, None, 1], found[None, :, 1])
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    nearer = found[None, :, 3] > found[:, None, 3]
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0) * nearer
    share: Floats = (shared / np.maximum(area, 1e-9)[:, None]).max(axis=1, initial=0.0)
    return share
