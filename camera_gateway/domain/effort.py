"""Which coded pictures are worth decoding: no more than the analysis asks for.

A picture that no other refers to can be left out at no loss to the rest; where key pictures alone come often enough,
nothing else need be decoded. Decoding a 1080p stream by its key pictures costs about a fiftieth of decoding all of it.
"""

from __future__ import annotations

import enum
from typing import Final

WINDOW: Final = 10.0
"""Seconds over which the camera's rates are measured."""


class Level(enum.Enum):
    """What is decoded."""

    ALL = "all"
    REFERENCES = "references"
    KEYS = "keys"


class DecodeEffort:
    """Chooses the coded pictures of one stream that are decoded. Times are monotonic seconds.

    Args:
        rate: decoded pictures per second that are wanted.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began: float | None = None
        self._keys = self._references = 0
        self._rates = (0.0, 0.0)
        self._until_key = False
        self._due = float("-inf")
        self.level = Level.ALL

    def want(self, rate: float) -> None:
        """From now on so many decoded pictures per second are wanted."""
        if rate != self._rate:
            self._rate = rate
            self._choose()

    def wants(self, *, key: bool, reference: bool, now: float) -> bool:
        """Whether the coded picture that came at ``now`` is to be decoded.

        Args:
            key: decoding can begin with it.
            reference: others may refer to it; a key picture that none refers to is of a stream of stills.
            now: when it came.
        """
        self._count(now, key=key, reference=reference)
        if key:
            self._until_key = False
            return reference or self._is_due(now)
        if self.level is Level.KEYS or self._until_key:
            return False
        return reference or self.level is Level.ALL

    def _is_due(self, now: float) -> bool:
        # Twice the rate, so that whoever keeps the rate itself finds a picture when it wants one.
        if now < self._due:
            return False
        self._due = now + 0.5 / self._rate
        return True

    def _count(self, now: float, *, key: bool, reference: bool) -> None:
        if self._began is None:
            self._began = now
        elapsed = now - self._began
        if elapsed >= WINDOW:
            self._rates = self._keys / elapsed, self._references / elapsed
            self._began, self._keys, self._references = now, 0, 0
            self._choose()
        self._keys += key
        self._references += reference or key

    def _choose(self) -> None:
        keys, references = self._rates
        before = self.level
        if keys >= self._rate:
            self.level = Level.KEYS
        elif references >= self._rate:
            self.level = Level.REFERENCES
        else:
            self.level = Level.ALL
        # The pictures in between refer to pictures that were left out.
        self._until_key |= before is Level.KEYS and self.level is not Level.KEYS
