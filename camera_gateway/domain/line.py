"""Coded pictures on their way to the decoder: none waits longer than a picture may be late.

A decoder that is behind would only get further behind by decoding what nobody wants any more. What waited too long
goes, and so does everything up to the next key picture, since it refers to what went.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WAITING_SECONDS: Final = 0.75
"""From the arrival of a coded picture to its decoder."""

MAX_WAITING_UNITS: Final = 512
"""No camera sends so many pictures in that time: bounds the memory that a flood takes."""


class Coded(Protocol):
    """A coded picture."""

    @property
    def arrival(self) -> float:
        """When it arrived, monotonic seconds."""

    @property
    def key(self) -> bool:
        """Whether decoding can begin with it."""


CodedT = TypeVar("CodedT", bound=Coded)


class Line(Generic[CodedT]):
    """The coded pictures of one session. Times are monotonic seconds; they are arguments."""

    def __init__(self) -> None:
        self._units: deque[CodedT] = deque()
        self._until_key = False

    def put(self, unit: CodedT, now: float) -> int:
        """Add one at ``now``; how many were dropped, be it this one or those before it."""
        dropped = self._drop_late(now)
        if len(self._units) >= MAX_WAITING_UNITS:
            dropped += len(self._units)
            self._units.clear()
            self._until_key = True
        if self._until_key and not unit.key:
            return dropped + 1
        self._until_key = False
        self._units.append(unit)
        return dropped

    def take(self, most: int, now: float) -> tuple[Sequence[CodedT], int]:
        """Up to ``most`` of the oldest at ``now``, and how many were dropped."""
        dropped = self._drop_late(now)
        return [self._units.popleft() for _ in range(min(most, len(self._units)))], dropped

    def put_back(self, units: deque[CodedT]) -> None:
        """Those that were taken last, for which there was no time: they come first again."""
        self._units.extendleft(reversed(units))

    def _drop_late(self, now: float) -> int:
        earliest = now - MAX_WAITING_SECONDS
        if not self._units or self._units[0].arrival >= earliest:
            return 0
        before = len(self._units)
        while self._units and not (self._units[0].key and self._units[0].arrival >= earliest):
            self._units.popleft()
        self._until_key = not self._units
        return before - len(self._units)
