"""Which coded pictures are worth decoding: no more than the analysis asks for.

A picture that no other refers to can be left out at no loss to the rest; where key pictures alone come often enough,
nothing else need be decoded. Decoding a 1080p stream by its key pictures costs about a fiftieth of decoding all of it.
"""

from __future__ import annotations

import enum
from typing import Final

WINDOW: Final = 10.0
"""Seconds over which the camera's rates are measured."""


ALMOST: Final = 0.95
"""Share of the wanted rate that is as good as all of it: pictures come a little early and late."""


class Level(enum.Enum):
    """What is decoded."""

    ALL = "all"
    REFERENCES = "references"
    KEYS = "keys"


class _Frequency:
    """How often something comes, by the time between the first and the last: a count alone errs by one."""

    def __init__(self) -> None:
        self._count = 0
        self._first = self._last = 0.0

    def add(self, now: float) -> None:
        """It came at ``now``."""
        if not self._count:
            self._first = now
        self._count += 1
        self._last = now

    def per_second(self, elapsed: float) -> float:
        """Over ``elapsed`` seconds; what came in a burst and no more is not taken for a rate."""
        between = self._last - self._first
        if between <= 0.0:
            return self._count / elapsed
        return min((self._count - 1) / between, (self._count + 1) / elapsed)


class DecodeEffort:
    """Chooses the coded pictures of one stream that are decoded. Times are monotonic seconds.

    Args:
        rate: decoded pictures per second that are wanted.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began: float | None = None
        self._keys, self._references = _Frequency(), _Frequency()
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
        elif (elapsed := now - self._began) >= WINDOW:
            self._rates = self._keys.per_second(elapsed), self._references.per_second(elapsed)
            self._began, self._keys, self._references = now, _Frequency(), _Frequency()
            self._choose()
        if key:
            self._keys.add(now)
        if reference or key:
            self._references.add(now)

    def _choose(self) -> None:
        keys, references = self._rates
        before, enough = self.level, ALMOST * self._rate
        if keys >= enough:
            self.level = Level.KEYS
        elif references >= enough:
            self.level = Level.REFERENCES
        else:
            self.level = Level.ALL
        # The pictures in between refer to pictures that were left out.
        self._until_key |= before is Level.KEYS and self.level is not Level.KEYS
