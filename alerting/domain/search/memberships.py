"""How well a value fits what was asked for, from 0 to 1: memberships of fuzzy sets (Zadeh, 1965), all trapezoids.

Nothing here is learned, and nothing is a probability that was measured: the flanks are assumptions, written down so
that whoever reads a plausibility can work it out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

UNKNOWN: Final = 0.5
"""What is not known speaks neither for nor against."""

SPEAKS_FOR: Final = 0.75
"""From here on a membership is told as speaking for a match."""

PERSON, BICYCLE, CAR, MOTORCYCLE, BUS, TRAIN, TRUCK = 1, 2, 3, 4, 5, 6, 7
"""Numbers of ``argo.type.v1.ObjectClass``."""
VEHICLES: Final = frozenset({CAR, MOTORCYCLE, BUS, TRAIN, TRUCK})

_CLASSES: Mapping[frozenset[int], float] = MappingProxyType(
    {
        # A van is a car to one model and a lorry to another.
        frozenset({CAR, TRUCK}): 0.5,
        frozenset({BUS, TRUCK}): 0.3,
        frozenset({BUS, TRAIN}): 0.3,
        frozenset({BICYCLE, MOTORCYCLE}): 0.4,
    }
)

BLACK, GREY, WHITE, RED, ORANGE, YELLOW, GREEN, BLUE, PURPLE, PINK, BROWN = range(1, 12)
"""Numbers of ``argo.detector.v1.VehicleColour``."""
_COLOURS: Mapping[frozenset[int], float] = MappingProxyType(
    {
        # Neighbours: by brightness, by hue, and what street light does to white and black.
        frozenset({BLACK, GREY}): 0.5,
        frozenset({GREY, WHITE}): 0.5,
        frozenset({BLACK, BLUE}): 0.3,
        frozenset({BLACK, BROWN}): 0.3,
        frozenset({BLACK, GREEN}): 0.2,
        frozenset({GREY, BLUE}): 0.3,
        frozenset({GREY, BROWN}): 0.3,
        frozenset({GREY, GREEN}): 0.2,
        frozenset({WHITE, YELLOW}): 0.2,
        frozenset({RED, ORANGE}): 0.4,
        frozenset({RED, PINK}): 0.4,
        frozenset({RED, BROWN}): 0.3,
        frozenset({RED, PURPLE}): 0.2,
        frozenset({ORANGE, YELLOW}): 0.5,
        frozenset({ORANGE, BROWN}): 0.4,
        frozenset({YELLOW, GREEN}): 0.2,
        frozenset({YELLOW, BROWN}): 0.3,
        frozenset({GREEN, BLUE}): 0.3,
        frozenset({BLUE, PURPLE}): 0.4,
        frozenset({PURPLE, PINK}): 0.4,
    }
)
_MISREAD: Final = 0.3
"""What a colour counts as far as the detector is not sure of it: it may be any."""
UNSURE: Final = 0.5
"""Below this confidence a colour excludes no other one."""


def falling(value: float, core: float, flank: float) -> float:
    """1 up to ``core``, then down to 0 over ``flank``."""
    if value <= core:
        return 1.0
    return max(0.0, 1.0 - (value - core) / flank) if flank > 0 else 0.0


def rising(value: float, core: float, flank: float) -> float:
    """1 from ``core`` on, below it down to 0 over ``flank``."""
    return falling(-value, -core, flank)


def of_class(seen: int, asked: Iterable[int]) -> float:
    """How well a class fits those that were asked for."""
    return max((1.0 if seen == one else _CLASSES.get(frozenset({seen, one}), 0.0) for one in asked), default=1.0)


def alike_classes(asked: Iterable[int]) -> frozenset[int]:
    """What may have been taken for one of these, and these."""
    return _alike(frozenset(asked), _CLASSES)


def of_colour(seen: int, confidence: float, asked: Iterable[int]) -> float:
    """How well a colour fits those that were asked for; 0 is a colour that is not known.

    As sure as the detector is, it is the neighbourhood of the colours that counts; for the rest, any colour may be.
    """
    if not seen:
        return UNKNOWN
    near = max((1.0 if seen == one else _COLOURS.get(frozenset({seen, one}), 0.0) for one in asked), default=1.0)
    return confidence * near + (1.0 - confidence) * _MISREAD


def alike_colours(asked: Iterable[int]) -> frozenset[int]:
    """What may have been taken for one of these, these, and the unknown one."""
    wanted = frozenset(asked)
    return _alike(wanted, _COLOURS) | {0} if wanted else frozenset()


def _alike(asked: frozenset[int], pairs: Mapping[frozenset[int], float]) -> frozenset[int]:
    return asked.union(*(pair for pair in pairs if pair & asked))


def turn(one: float, other: float) -> float:
    """Degrees between two directions, 0 to 180."""
    return abs((one - other + 180.0) % 360.0 - 180.0)
