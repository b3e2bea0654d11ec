"""The ways in which a camera can misbehave on request."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """What goes wrong. The values are the words of the command line."""

    HANG_AFTER_PLAY = "hang-after-play"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    GARBAGE = "garbage"
    RESIZE_AFTER = "resize-after"
    RESET_AFTER = "reset-after"


_WITH_DELAY = frozenset({FaultKind.RESIZE_AFTER, FaultKind.RESET_AFTER})


@dataclass(frozen=True)
class Fault:
    """One fault and, where it has one, the delay after which it comes.

    Attributes:
        kind: what goes wrong.
        after_seconds: seconds after PLAY; 0 for the faults that are there from the beginning.
    """

    kind: FaultKind
    after_seconds: float = 0.0


def parse_fault(words: str) -> Fault:
    """Read a fault as the command line writes it: ``garbage``, ``reset-after 3``, ``reset-after=3``.

    Raises:
        ValueError: unknown fault, delay missing, superfluous or not a positive number.
    """
    name, _, delay = words.replace("=", " ").strip().partition(" ")
    try:
        kind = FaultKind(name)
    except ValueError:
        known = ", ".join(known_kind.value for known_kind in FaultKind)
        raise ValueError(f"unknown fault {name!r}; known: {known}") from None
    if kind not in _WITH_DELAY:
        if delay:
            raise ValueError(f"fault {name} takes no seconds")
        return Fault(kind)
    try:
        seconds = float(delay)
    except ValueError:
        raise ValueError(f"fault {name} needs a number of seconds, as in '{name} 3'") from None
    if not seconds > 0:
        raise ValueError(f"fault {name} needs a positive number of seconds")
    return Fault(kind, seconds)
