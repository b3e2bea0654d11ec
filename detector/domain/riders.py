"""Which persons of a frame ride or sit in a vehicle: they are no pedestrians, although a detector sees persons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass, among

if TYPE_CHECKING:
    import numpy.typing as npt

    Kinds = npt.NDArray[np.int16]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

CYCLES: Final = frozenset({ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE})
CABINS: Final = frozenset({ObjectClass.CAR, ObjectClass.BUS, ObjectClass.TRUCK, ObjectClass.TRAIN})
SEAT_SHARE: Final = 0.15
"""The visible end of somebody in a cabin, the rim of a window or of a door, is above the wheels by at least this share
of the vehicle's height; the feet of somebody in front of it are not."""
SADDLE_SHARE: Final = 0.3
"""A rider's feet are no lower than the wheels, but for this share of the cycle's height."""


def riders(classes: Kinds, feet: Floats, boxes: Floats) -> Flags:
    """Which objects are persons who ride or sit in something, n. Who pushes a bicycle counts as one who rides it.

    Args:
        classes: of everybody in the frame, n, values of ObjectClass.
        feet: where they stand, n x 2, pixels.
        boxes: left, top, right, bottom, n x 4, pixels.
    """
    found = np.zeros(len(classes), dtype=np.bool_)
    carriers = np.flatnonzero(among(classes, CYCLES | CABINS))
    persons = np.flatnonzero(classes == ObjectClass.PERSON)
    left, top, right, bottom = boxes[carriers].T
    lowest = bottom + SADDLE_SHARE * (bottom - top)
    foot_x, foot = feet[persons, 0, None], feet[persons, 1, None]
    over = (left <= foot_x) & (foot_x <= right) & (top < foot) & (foot <= lowest)
    rows, columns = np.nonzero(over)
    someone, something = persons[rows], carriers[columns]
    cycle, head, foot_y = among(classes, CYCLES)[something], boxes[someone, 1], feet[someone, 1]
    (_, top, _, bottom) = boxes[something].T
    height = np.maximum(bottom - top, 1.0)
    riding = cycle & (head < top + height / 2)
    sitting = ~cycle & (foot_y < bottom - SEAT_SHARE * height) & (head >= top)
    found[someone[riding | sitting]] = True
    return found
