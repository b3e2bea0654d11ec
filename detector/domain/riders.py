"""Which persons of a frame ride or sit in a vehicle: they are no pedestrians, although a detector sees persons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.scene import Presence

CYCLES: Final = frozenset({ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE})
CABINS: Final = frozenset({ObjectClass.CAR, ObjectClass.BUS, ObjectClass.TRUCK, ObjectClass.TRAIN})
SEAT_SHARE: Final = 0.15
"""The visible end of somebody in a cabin, the rim of a window or of a door, is above the wheels by at least this share
of the vehicle's height; the feet of somebody in front of it are not."""
SADDLE_SHARE: Final = 0.3
"""A rider's feet are no lower than the wheels, but for this share of the cycle's height."""


def riders(present: Sequence[Presence]) -> frozenset[int]:
    """Tracks of the persons who ride or sit in something. Who pushes a bicycle counts as one who rides it.

    Args:
        present: everybody in the frame.
    """
    carriers = [item for item in present if item.object_class in CYCLES or item.object_class in CABINS]
    persons = [item for item in present if item.object_class is ObjectClass.PERSON]
    if not carriers or not persons:
        return frozenset()
    foot_x, foot = (np.array([person.foot[axis] for person in persons])[:, None] for axis in (0, 1))
    head = np.array([person.box[1] for person in persons])[:, None]
    left, top, right, bottom = np.array([carrier.box for carrier in carriers], dtype=np.float64).T
    height = np.array([carrier.height for carrier in carriers])
    cycle = np.array([carrier.object_class in CYCLES for carrier in carriers])
    over = (left <= foot_x) & (foot_x <= right) & (foot > top)
    riding = cycle & (foot <= bottom + SADDLE_SHARE * height) & (head < top + height / 2)
    sitting = ~cycle & (foot < bottom - SEAT_SHARE * height) & (head >= top)
    carried = (over & (riding | sitting)).any(axis=1)
    return frozenset(person.track for person, yes in zip(persons, carried.tolist(), strict=True) if yes)
