"""Erasing observations, day by day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

import asyncpg

from alerting.domain.observations import last_day_gone
from alerting.store.database import Database
from alerting.store.observations import QUERIES
from alerting.store.repetition import Eraser, RecordErasure, affected, repeat
from mesh.errors import Unavailable

_BATCH: Final = 5000
_DAY: Final = timedelta(days=1)


class ObservationErasure:
    """Takes observations away: whole days, of the day in between row by row, and what holds keep when they end."""

    def __init__(self, database: Database, record: RecordErasure) -> None:
        self._database = database
        self._record = record

    async def erase(self, due_by: datetime, now: datetime) -> int:
        """Erases what expired by ``due_by`` and is not held at ``now``; how many.

        Raises:
            Unavailable: the database or the log does not answer, or somebody reads a day for so long that it cannot go
                now (``DAY_IN_USE``).
        """
        await self._hold(due_by, now)
        erased, last_gone = 0, last_day_gone(due_by)
        for row in await self._database.fetch(QUERIES["list_days"]):
            if row["day"] <= last_gone:
                erased += await self._drop(row["day"], row["partition"])
            elif row["day"] <= last_gone + 2 * _DAY:
                # That of seven days ago, and the next: a clock that was ahead gave a day later than the arrival's.
                erased += await self._delete(_of_day("expire_observations", row["partition"]), due_by)
        erased += await self._delete(QUERIES["expire_running_observations"], due_by)
        return erased + await self._release(now)

    async def _hold(self, due_by: datetime, now: datetime) -> None:
        async with self._database.transaction() as connection:
            if affected(await connection.execute(QUERIES["hold_observations"], due_by, now)):
                await connection.execute(QUERIES["take_held_observations"], due_by)
                await connection.execute(QUERIES["take_held_running"], due_by)

    async def _drop(self, day: date, partition: str) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["lock_briefly"])
            try:
                count: int = await connection.fetchval(_of_day("count_day", partition))
                await connection.execute(_of_day("drop_day", partition))
            except asyncpg.LockNotAvailableError as error:
                raise Unavailable("a day is being read", reason="DAY_IN_USE", retry_after=60.0) from error
            if count:
                await self._record(connection, f"observations of {day.isoformat()}", count)
        return count

    async def _release(self, now: datetime) -> int:
        async with self._database.transaction() as connection:
            released = affected(await connection.execute(QUERIES["release_observations"], now))
            if released:
                await self._record(connection, "observations that were held", released)
        return released

    async def _delete(self, query: str, due_by: datetime) -> int:
        return await repeat(Eraser(self._database, "observations", query, self._record, due_by, _BATCH))


def _of_day(query: str, partition: str) -> str:
    """A query with the table of one day in it: a name that the database itself gave, quoted by it."""
    return QUERIES[query].replace("{partition}", partition)
