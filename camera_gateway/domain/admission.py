"""Who may be dialled now: a few at a time of one site, a few more of all, in the order in which they asked.

Without it a network that comes back would be met by every camera at once: each costs a handshake, a burst of key
pictures and a share of the site's uplink, all taken from the cameras that already run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How many connections may be under way at once.

    Attributes:
        total: of all sites together.
        per_site: of one site.
        longest: a dial that has taken this long, seconds, no longer counts: it is waiting for a silent camera, which
            costs nothing, and must not keep those from their turn that would answer.
    """

    total: int = 48
    per_site: int = 4
    longest: float = 3.0


class Admission:
    """The line of those who want to connect. Times are monotonic seconds given by the caller."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._line: dict[Hashable, str] = {}
        self._under_way: dict[Hashable, tuple[str, float]] = {}

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    @property
    def under_way(self) -> int:
        """How many were admitted and count."""
        return len(self._under_way)

    def ask(self, ticket: Hashable, site: str) -> None:
        """Join the end of the line; who stands in it keeps the place."""
        self._line.setdefault(ticket, site)

    def leave(self, ticket: Hashable) -> None:
        """Connected, failed, or no longer interested."""
        self._line.pop(ticket, None)
        self._under_way.pop(ticket, None)

    def admit(self, now: float) -> list[Hashable]:
        """Those whose turn it is, in their order; they count until `leave`, at most `Limits.longest`."""
        longest = self._limits.longest
        self._under_way = {ticket: dial for ticket, dial in self._under_way.items() if dial[1] + longest > now}
        sites = Counter(site for site, _ in self._under_way.values())
        admitted: list[Hashable] = []
        for ticket, site in self._line.items():
            if len(self._under_way) >= self._limits.total:
                break
            if sites[site] < self._limits.per_site:
                sites[site] += 1
                self._under_way[ticket] = site, now
                admitted.append(ticket)
        for ticket in admitted:
            del self._line[ticket]
        return admitted

    def next_turn(self) -> float | None:
        """When somebody in the line may be admitted although nobody leaves; None when the line is empty."""
        if not self._line or not self._under_way:
            return None
        return min(since for _, since in self._under_way.values()) + self._limits.longest
