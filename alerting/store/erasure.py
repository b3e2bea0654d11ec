"""Erasing what has been kept long enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from alerting.store.database import Database
from alerting.store.flows import FLOW_QUERIES
from alerting.store.observation_erasure import ObservationErasure
from alerting.store.queries import QUERIES
from alerting.store.repetition import Eraser, RecordErasure, repeat
from alerting.store.searches import SEARCH_QUERIES

_BATCH = 5000
_FLOW_TABLES = ("flow_reports", "flow_coverage", "flow_minutes", "flow_turns", "flow_near_misses")
_SEARCHES_KEPT = timedelta(days=7)
"""Who searched and when; what was searched for stands in the audit log, what was found has gone long before."""
_SHELVINGS_KEPT = timedelta(days=7)
_SHIFTS_KEPT = timedelta(days=365)
_SIGN_INS_KEPT = timedelta(days=7)


class ErasureStore:
    """Deletes what has expired, some thousand rows per transaction, each on record in that transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, now: datetime, record: RecordErasure, due_by: datetime | None = None) -> dict[str, int]:
        """Erases everything that expired at ``now`` or before, except what a legal hold keeps.

        Args:
            now: in UTC.
            record: writes the audit entry; when it raises, that batch is not erased.
            due_by: of what a hold can keep, only what expired by then goes; none: by ``now``. See
                ``alerting.domain.holds``.

        Returns:
            How many of each kind were erased.
        """
        due_by = due_by or now
        erased = {"alerts": await repeat(lambda: self._erase_alerts(due_by, now, record))}
        erased["events"] = await repeat(self._eraser("events", QUERIES, record, due_by, _BATCH, now))
        erased["observations"] = await ObservationErasure(self._database, record).erase(due_by, now)
        return erased | await self.erase_what_no_hold_keeps(now, record)

    async def erase_what_no_hold_keeps(self, now: datetime, record: RecordErasure) -> dict[str, int]:
        """Erases the rest: it goes on time, whatever is known of holds."""
        erased = {"coverage": await repeat(self._eraser("coverage", QUERIES, record, now, _BATCH))}
        for kind in _FLOW_TABLES:
            erased[kind] = await repeat(self._eraser(kind, FLOW_QUERIES, record, now, _BATCH))
        erased["search_results"] = await repeat(self._eraser("search_results", SEARCH_QUERIES, record, now, _BATCH))
        searches = self._eraser("searches", SEARCH_QUERIES, record, now - _SEARCHES_KEPT, _BATCH)
        erased["searches"] = await repeat(searches)
        await self._database.execute(QUERIES["expire_sign_ins"], now - _SIGN_INS_KEPT)
        await self._database.execute(QUERIES["expire_shelvings"], now - _SHELVINGS_KEPT)
        await self._database.execute(QUERIES["expire_shifts"], now - _SHIFTS_KEPT)
        return erased

    def _eraser(self, kind: str, queries: Mapping[str, str], record: RecordErasure, *arguments: object) -> Eraser:
        return Eraser(self._database, kind, queries[f"expire_{kind}"], record, *arguments)

    async def _erase_alerts(self, due_by: datetime, now: datetime, record: RecordErasure) -> int:
        async with self._database.transaction() as connection:
            await connection.fetchrow(QUERIES["lock_sequence"])
            rows = await connection.fetch(QUERIES["expire_alerts"], due_by, _BATCH, now)
            if rows:
                # A watcher who stopped before these changes can never see them: its token is too old from now on.
                await connection.execute(QUERIES["raise_floor"], max(row["change"] for row in rows))
                await record(connection, "alerts", len(rows))
        return len(rows)
