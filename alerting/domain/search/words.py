"""Numbers of the contracts in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

CLASSES: Mapping[int, str] = MappingProxyType(
    {
        0: "thing of no known class", 1: "person", 2: "bicycle", 3: "car or van", 4: "motorcycle", 5: "bus", 6: "tram",
        7: "lorry", 8: "animal", 9: "piece of luggage",
    }
)  # fmt: skip
COLOURS: Mapping[int, str] = MappingProxyType(
    {
        0: "unknown", 1: "black", 2: "grey", 3: "white", 4: "red", 5: "orange", 6: "yellow", 7: "green", 8: "blue",
        9: "purple", 10: "pink", 11: "brown",
    }
)  # fmt: skip
_MINUTE, _HOUR = 60.0, 3600.0


def either(names: Mapping[int, str], numbers: Iterable[int]) -> str:
    """For example ``"car or van, lorry"``."""
    return ", ".join(names.get(number, "thing") for number in sorted(numbers))


def amount(seconds: float) -> str:
    """A length of time, for example ``"4 min"``."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
