"""What waits to be published: bounded, fair between optics, and honest about what it had to drop."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parcel(Generic[T]):
    """What is published next.

    Attributes:
        optic: whose it is.
        items: oldest first.
        dropped: how many earlier items of this optic were dropped since its last parcel.
    """

    optic: str
    items: tuple[T, ...]
    dropped: int


class Outbox(Generic[T]):
    """Items per optic, at most `capacity` in all.

    When it is full, the oldest item of the optic with the most of them makes room.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._dropped: Counter[str] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, optic: str, item: T) -> int:
        """Add an item; how many items were dropped for it."""
        self._waiting.setdefault(optic, deque()).append(item)
        self._size += 1
        if self._size <= self._capacity:
            return 0
        largest = max(self._waiting, key=lambda name: len(self._waiting[name]))
        self._waiting[largest].popleft()
        self._dropped[largest] += 1
        self._size -= 1
        return 1

    def take(self, most: int) -> Parcel[T] | None:
        """At most `most` items of the optic that has waited longest; None when there is nothing."""
        while self._waiting:
            optic, waiting = self._waiting.popitem(last=False)
            items = tuple(waiting.popleft() for _ in range(min(most, len(waiting))))
            if waiting:
                self._waiting[optic] = waiting
            if items:
                self._size -= len(items)
                return Parcel(optic, items, self._dropped.pop(optic, 0))
        return None
