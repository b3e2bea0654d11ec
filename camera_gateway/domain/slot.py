"""A place for one item: the newest wins."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Holds at most one item between one writer and one reader.

    A slow reader loses the older items and never gets a late one; memory does not grow.
    """

    def __init__(self) -> None:
        self._item: T | None = None
        self.replaced = 0
        """How many items were replaced before they were taken."""

    def put(self, item: T) -> bool:
        """Store ``item``; True when it replaced one that nobody had taken."""
        replaced = self._item is not None
        self.replaced += replaced
        self._item = item
        return replaced

    def take(self) -> T | None:
        """Remove the item and return it; None when the place is empty."""
        item, self._item = self._item, None
        return item
