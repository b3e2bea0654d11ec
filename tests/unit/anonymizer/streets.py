"""Synthetic streets: textured, noisy, with people made of texture."""

from __future__ import annotations

import dataclasses

import numpy as np

from anonymizer.domain.evidence import LearningRules
from anonymizer.domain.frame import Frame, Planes, Size
from anonymizer.domain.redactor import RedactionRules
from anonymizer.domain.verdict import ObjectClass, Verdict

SIZE = Size(128, 96)
RULES = RedactionRules(
    learning=LearningRules(quiet_seconds=4.0, returned_seconds=3.0, relearn_seconds=60.0, empty_verdicts=10)
)
"""The rules of the product with shorter waits, so that a test needs no minutes of pictures."""
PERIOD = 0.2


@dataclasses.dataclass(frozen=True)
class Person:
    """A textured rectangle; pixels of the luma plane."""

    left: int
    top: int
    width: int = 16
    height: int = 40

    @property
    def area(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def box(self, size: Size = SIZE) -> tuple[float, float, float, float]:
        return (
            self.left / size.width,
            self.top / size.height,
            (self.left + self.width) / size.width,
            (self.top + self.height) / size.height,
        )


class Street:
    """Makes the frames of one optic, five per second."""

    def __init__(self, size: Size = SIZE, *, seed: int = 1, noise: float = 1.0) -> None:
        self.size = size
        self.noise = noise
        self._rng = np.random.default_rng(seed)
        self._luma = self._rng.integers(70, 160, (size.height, size.width)).astype(np.float32)
        self._blue = np.full((size.height // 2, size.width // 2), 120, np.float32)
        self._red = np.full((size.height // 2, size.width // 2), 130, np.float32)
        self._coats: dict[Person, np.ndarray] = {}
        self._count = 0

    def frame(self, *people: Person, light: float = 1.0, shift: int = 0) -> Frame:
        """The next frame.

        Args:
            people: who stands in it.
            light: factor on the luma.
            shift: pixels by which the camera has turned.
        """
        luma = np.roll(self._luma, shift, axis=1).copy()
        for person in people:
            luma[person.area] = self._coat(person)
        noisy = luma * light + self._rng.normal(0, self.noise, luma.shape)
        planes = Planes(*(np.clip(plane, 16, 235).astype(np.uint8) for plane in (noisy, self._blue, self._red)))
        number, self._count = self._count, self._count + 1
        return Frame(number, number * PERIOD, planes)

    def _coat(self, person: Person) -> np.ndarray:
        key = dataclasses.replace(person, left=0, top=0)
        if key not in self._coats:
            self._coats[key] = self._rng.integers(20, 230, (person.height, person.width)).astype(np.float32)
        return self._coats[key]


def verdict(frame: Frame, *people: Person, score: float = 0.6) -> Verdict:
    """What a detector says that sees exactly these people."""
    boxes = [person.box(frame.planes.size) for person in people]
    return Verdict(
        frame.sequence,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(people), ObjectClass.PERSON, np.int16),
        np.full(len(people), score, np.float32),
    )


def likeness(left: np.ndarray, right: np.ndarray) -> float:
    """Correlation of two patches, -1..1; 0 when one of them is flat."""
    first, second = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    if first.std() < 1e-6 or second.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
