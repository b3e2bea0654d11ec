"""Erasing what has been kept long enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from alerting.store.database import Database
from alerting.store.flows import FLOW_QUERIES
from alerting.store.queries import QUERIES

_BATCH = 5000
_FLOW_TABLES = ("flow_reports", "flow_coverage", "flow_minutes", "flow_turns", "flow_near_misses")
_SIGN_INS_KEPT = timedelta(days=7)

RecordErasure = Callable[[Any, str, int], Awaitable[None]]
"""Puts an erasure on record, on its connection: what was erased, and how many."""


class ErasureStore:
    """Deletes what has expired, some thousand rows per transaction, each on record in that transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, now: datetime, record: RecordErasure) -> dict[str, int]:
        """Erases everything that expired at ``now`` or before.

        Args:
            now: in UTC.
            record: writes the audit entry; when it raises, that batch is not erased.

        Returns:
            How many of each kind were erased.
        """
        erased = {"alerts": await self._repeat(self._erase_alerts, now, record)}
        for kind in ("events", "observations", "coverage"):
            erased[kind] = await self._repeat(_Eraser(self._database, kind, QUERIES), now, record)
        for kind in _FLOW_TABLES:
            erased[kind] = await self._repeat(_Eraser(self._database, kind, FLOW_QUERIES), now, record)
        await self._database.execute(QUERIES["expire_sign_ins"], now - _SIGN_INS_KEPT)
        return erased

    async def _repeat(
        self, erase: Callable[[datetime, RecordErasure], Awaitable[int]], now: datetime, record: RecordErasure
    ) -> int:
        total = 0
        while count := await erase(now, record):
            total += count
        return total

    async def _erase_alerts(self, now: datetime, record: RecordErasure) -> int:
        async with self._database.transaction() as connection:
            await connection.fetchrow(QUERIES["lock_sequence"])
            rows = await connection.fetch(QUERIES["expire_alerts"], now, _BATCH)
            if rows:
                # A watcher who stopped before these changes can never see them: its token is too old from now on.
                await connection.execute(QUERIES["raise_floor"], max(row["change"] for row in rows))
                await record(connection, "alerts", len(rows))
        return len(rows)


class _Eraser:
    """Erases one kind of row, a batch per call."""

    def __init__(self, database: Database, kind: str, queries: Mapping[str, str]) -> None:
        self._database = database
        self._kind = kind
        self._query = queries[f"expire_{kind}"]

    async def __call__(self, now: datetime, record: RecordErasure) -> int:
        async with self._database.transaction() as connection:
            status: str = await connection.execute(self._query, now, _BATCH)
            count = int(status.rsplit(" ", 1)[-1])
            if count:
                await record(connection, self._kind, count)
        return count
