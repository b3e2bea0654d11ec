"""Fruin's levels of service: what a density of people means to those who are in it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SQUARE_METRES: Final = 0.09290304
"""Of a square foot."""


class Scale(enum.IntEnum):
    """Which of Fruin's scales a place is read on. The numbers are those of ``CrowdDensity.Scale``."""

    WALKWAY = 1
    QUEUE = 2


SQUARE_FEET_PER_PERSON: Final[Mapping[Scale, tuple[float, ...]]] = MappingProxyType(
    {Scale.WALKWAY: (35.0, 25.0, 15.0, 10.0, 5.0), Scale.QUEUE: (13.0, 10.0, 7.0, 3.0, 2.0)}
)
"""Where A ends and B begins, and so on to F (Fruin: Pedestrian Planning and Design, 1971, chapter 4)."""


class Level(enum.IntEnum):
    """From room for all to none. The numbers are those of ``argo.alerting.v1.LevelOfService``."""

    A = 1
    B = 2
    C = 3
    D = 4
    E = 5
    F = 6


def level_of_service(density: float, scale: Scale) -> Level:
    """The level of a density in persons per square metre."""
    passed = sum(density > 1.0 / (feet * _SQUARE_METRES) for feet in SQUARE_FEET_PER_PERSON[scale])
    return Level(passed + 1)
