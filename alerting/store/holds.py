"""What is held, as the registry said last: kept here so that a restart knows no less."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from alerting.domain.holds import HeldInterval
from alerting.store.database import Database
from alerting.store.observations import QUERIES


class HoldStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, held: Iterable[HeldInterval], now: datetime) -> None:
        """Keeps all that is held, before anything is erased by it."""
        rows = [(item.optic, item.start_time, item.end_time, item.expire_time) for item in held]
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["write_holds_read"], now)
            await connection.execute(QUERIES["delete_held_intervals"])
            await connection.executemany(QUERIES["write_held_interval"], rows)

    async def answered(self) -> datetime | None:
        """When the registry last said what is held; none: never."""
        row = await self._database.fetchrow(QUERIES["read_holds_time"])
        return None if row is None else row["read_time"]
