"""An episode: a condition that lasts, told once.

Rules about a whole place (too many, too slow, too close) share this: the condition has to last for a while before it
is told, it is told once, and it is over only when it was clearly false for a while. Between "true" and "clearly false"
lies the hysteresis: it keeps alive what was told, but what was not yet told has to be true, not only nearly.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_GAP_SECONDS: Final = 10.0
"""Between two frames no more time passes for an episode than this: nobody knows what was in a longer gap. A scene in
which nothing moves is still looked at every two seconds."""
_ROUNDING_SECONDS: Final = 1e-6


class Phase(enum.Enum):
    """Where an episode is in its life."""

    QUIET = enum.auto()
    RISING = enum.auto()
    """The condition holds, not yet for long enough."""
    REPORTED = enum.auto()
    """It held for long enough, and was told."""


class Sign(enum.Enum):
    """What a frame says of the condition."""

    ABOVE = enum.auto()
    HELD = enum.auto()
    """It holds, and by now for the whole time that it has to."""
    BETWEEN = enum.auto()
    """It does not hold, but has not been false for long."""
    LAPSED = enum.auto()
    """It has not held for a while, but was not clearly false for all of that."""
    BELOW = enum.auto()
    """It has clearly not held for long enough."""


TRANSITIONS: Final[Mapping[tuple[Phase, Sign], tuple[Phase, bool]]] = {
    (Phase.QUIET, Sign.ABOVE): (Phase.RISING, False),
    (Phase.QUIET, Sign.HELD): (Phase.REPORTED, True),
    (Phase.QUIET, Sign.BETWEEN): (Phase.QUIET, False),
    (Phase.QUIET, Sign.LAPSED): (Phase.QUIET, False),
    (Phase.QUIET, Sign.BELOW): (Phase.QUIET, False),
    (Phase.RISING, Sign.ABOVE): (Phase.RISING, False),
    (Phase.RISING, Sign.HELD): (Phase.REPORTED, True),
    (Phase.RISING, Sign.BETWEEN): (Phase.RISING, False),
    (Phase.RISING, Sign.LAPSED): (Phase.QUIET, False),
    (Phase.RISING, Sign.BELOW): (Phase.QUIET, False),
    (Phase.REPORTED, Sign.ABOVE): (Phase.REPORTED, False),
    (Phase.REPORTED, Sign.HELD): (Phase.REPORTED, False),
    (Phase.REPORTED, Sign.BETWEEN): (Phase.REPORTED, False),
    (Phase.REPORTED, Sign.LAPSED): (Phase.REPORTED, False),
    (Phase.REPORTED, Sign.BELOW): (Phase.QUIET, False),
}
"""(phase, sign) -> (new phase, whether it is told)."""


class Episode:
    """One condition over time.

    A gap between frames counts as the last answer going on, up to LONGEST_GAP_SECONDS; a clock that is set back counts
    as no time passed.

    Args:
        duration: for how long the condition has to hold, seconds.
        release: for how long it must clearly not have held before the episode is over, and not have held before one
            that was not yet told is; seconds.
    """

    def __init__(self, duration: float, release: float = 1.0) -> None:
        self._duration = duration
        self._release = release
        self._last: float | None = None
        self._clock = 0.0
        """Seconds that have passed for the episode; unlike the time of day it neither jumps nor goes back."""
        self._began = 0.0
        self._false_from: float | None = None
        self._clear_from: float | None = None
        self.phase = Phase.QUIET
        self.since = 0.0
        """When the condition began to hold; says something only while the phase is not QUIET."""

    def step(self, time: float, *, holds: bool, over: bool) -> bool:
        """Take one frame; whether the episode is to be told now.

        Args:
            time: capture time, seconds.
            holds: the condition is true.
            over: the condition is clearly false; neither: in between.
        """
        passed = 0.0 if self._last is None else time - self._last
        self._last = time
        self._clock += min(max(0.0, passed), LONGEST_GAP_SECONDS)
        if holds and self.phase is Phase.QUIET:
            self.since, self._began = time, self._clock
        self.since = min(self.since, time)
        self._false_from = None if holds else _first(self._false_from, self._clock)
        self._clear_from = None if holds or not over else _first(self._clear_from, self._clock)
        self.phase, told = TRANSITIONS[self.phase, self._sign()]
        return told

    def reset(self) -> None:
        """Forget it."""
        self.phase = Phase.QUIET
        self._last = self._false_from = self._clear_from = None

    def _sign(self) -> Sign:
        if self._false_from is None:
            return Sign.HELD if self._lasted(self._began, self._duration) else Sign.ABOVE
        if self._clear_from is not None and self._lasted(self._clear_from, self._release):
            return Sign.BELOW
        return Sign.LAPSED if self._lasted(self._false_from, self._release) else Sign.BETWEEN

    def _lasted(self, since: float, seconds: float) -> bool:
        return self._clock - since >= seconds - _ROUNDING_SECONDS


def _first(known: float | None, now: float) -> float:
    return now if known is None else known
