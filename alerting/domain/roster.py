"""The optics that there are, as the registry has them: who is not reported on is known by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


class Roster:
    """The last list of optics that the registry gave."""

    def __init__(self) -> None:
        self.optics: frozenset[str] = frozenset()
        self.time: datetime | None = None
        """When it gave it, in UTC; none: not yet."""

    def update(self, optics: Iterable[str], now: datetime) -> None:
        """The registry has given its list at ``now``."""
        self.optics, self.time = frozenset(optics), now
