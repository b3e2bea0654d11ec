"""What the detector said of a frame, as far as masking needs it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
"""N x 4: left, top, right, bottom; 0..1 of the picture's width and height, origin at its top left corner."""


class ObjectClass(enum.IntEnum):
    """The classes that a mask has a colour for; the numbers are those of argo.type.v1.ObjectClass."""

    UNSPECIFIED = 0
    PERSON = 1
    BICYCLE = 2
    CAR = 3
    MOTORCYCLE = 4
    BUS = 5
    TRAIN = 6
    TRUCK = 7
    ANIMAL = 8
    LUGGAGE = 9


VEHICLES: Final = (ObjectClass.CAR, ObjectClass.BUS, ObjectClass.TRAIN, ObjectClass.TRUCK)
"""Classes in whose boxes nobody is looked for: closed, and larger than a person. A rider is seen on the others."""
CONFIDENT: Final = 0.3
"""The score from which on a detection is believed at once; below, only if it comes again and again."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A thing that the detector follows.

    Attributes:
        track: random, per stream, dies with the track.
        box: left, top, right, bottom, as of `Boxes`.
    """

    track: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The detector looked at the frame `sequence` and saw these things, and nothing else, above its low threshold.

    Attributes:
        sequence: the number of the frame that was looked at.
        boxes: float32, N x 4, see `Boxes`.
        classes: int16, N, values of `ObjectClass`; others are painted as UNSPECIFIED.
        scores: float32, N, 0..1.
        followed: what it follows, for labels only: no mask rests on it.
    """

    sequence: int
    boxes: Boxes
    classes: npt.NDArray[np.int16]
    scores: npt.NDArray[np.float32]
    followed: tuple[Followed, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.classes)
        if self.boxes.shape != (count, 4) or self.scores.shape != (count,):
            raise ValueError(f"boxes {self.boxes.shape}, classes {self.classes.shape}, scores {self.scores.shape}")

    @classmethod
    def empty(cls, sequence: int) -> Verdict:
        """Looked, and there is nothing."""
        return cls(sequence, np.empty((0, 4), np.float32), np.empty(0, np.int16), np.empty(0, np.float32))

    @property
    def is_sound(self) -> bool:
        """Whether it can be believed: every number is finite, every box has its corners in order."""
        if not np.isfinite(self.boxes).all() or not np.isfinite(self.scores).all():
            return False
        return bool((self.boxes[:, :2] <= self.boxes[:, 2:]).all())

    def binds(self, sequence: int) -> bool:
        """Whether this is a usable verdict for the frame `sequence`, and for no other."""
        return self.sequence == sequence and self.is_sound


_HIGHEST: Final = max(ObjectClass)
_IS_VEHICLE: Final = np.array([ObjectClass(number) in VEHICLES for number in range(_HIGHEST + 1)])


def are_vehicles(classes: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Which of these numbers stand for vehicles in whose boxes nobody is looked for."""
    vehicles: npt.NDArray[np.bool_] = _IS_VEHICLE[known_classes(classes)]
    return vehicles


def known_classes(numbers: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The same numbers; UNSPECIFIED for those that are not on the list."""
    is_known = (numbers >= 0) & (numbers <= _HIGHEST)
    return np.where(is_known, numbers, np.int16(ObjectClass.UNSPECIFIED)).astype(np.int16)
