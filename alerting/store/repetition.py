"""Deleting batch by batch, each batch on record in its own transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from alerting.store.database import Database

RecordErasure = Callable[[Any, str, int], Awaitable[None]]
"""Puts an erasure on record, on its connection: what was erased, and how many."""


class Eraser:
    """Erases one kind of row, a batch per call; how many."""

    def __init__(self, database: Database, kind: str, query: str, record: RecordErasure, *arguments: object) -> None:
        self._database = database
        self._kind = kind
        self._query = query
        self._record = record
        self._arguments = arguments

    async def __call__(self) -> int:
        """Erases the next batch."""
        async with self._database.transaction() as connection:
            count = affected(await connection.execute(self._query, *self._arguments))
            if count:
                await self._record(connection, self._kind, count)
        return count


async def repeat(erase: Callable[[], Awaitable[int]]) -> int:
    """Erases until there is nothing left; how many."""
    total = 0
    while count := await erase():
        total += count
    return total


def affected(status: str) -> int:
    """How many rows a command touched, of what PostgreSQL says of it, for example ``"DELETE 3"``."""
    return int(status.rsplit(" ", 1)[-1])
