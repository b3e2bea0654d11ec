"""What counts as a vehicle of the road."""

from __future__ import annotations

from typing import Final

from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter

ROAD_VEHICLES: Final = frozenset({ObjectClass.CAR, ObjectClass.MOTORCYCLE, ObjectClass.BUS, ObjectClass.TRUCK})
"""Motor vehicles that keep to the direction of their lane.

Not bicycles, which may go both ways in many streets, and not trams, which stop and turn as their tracks let them; a
class filter that names them has them watched all the same."""


def vehicles_by_default(classes: ClassFilter) -> ClassFilter:
    """A rule's class filter; road vehicles where it names no class."""
    return classes if classes.classes else ClassFilter(ROAD_VEHICLES)
