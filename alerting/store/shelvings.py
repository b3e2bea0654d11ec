"""What optics, rules and places are set aside, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerting.domain.alerts import Act, State, Step, take
from alerting.domain.escalation import Patience, deadline
from alerting.domain.shelving import Shelving
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of, shelving_of
from alerting.store.writer import AlertWriter
from mesh.errors import NotFound

RecordShelving = Callable[[Any, Shelving, str, str], Awaitable[None]]
"""Puts it on record that somebody made or ended a shelving: connection, shelving, who, why."""


class ShelvingStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_shelvings(self, now: datetime) -> list[Shelving]:
        """Those in force, the one that ends first at the front."""
        return [shelving_of(row) for row in await self._database.fetch(QUERIES["list_shelvings"], now)]

    async def create(self, shelving: Shelving, now: datetime, record: RecordShelving) -> Shelving:
        """Keeps a shelving and sets aside what is raised; one with this id that is there already is returned."""
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            row = await connection.fetchrow(QUERIES["get_shelving"], shelving.shelving_id)
            if row is not None:
                return shelving_of(row)
            await _write(connection, shelving)
            alerts = [alert_of(row) for row in await connection.fetch(QUERIES["list_open"])]
            covered = [alert for alert in alerts if alert.state is State.RAISED and shelving.covers(alert)]
            await writer.write_all([take(alert, shelving.step(), now) for alert in covered])
            await record(connection, shelving, shelving.actor, shelving.reason)
            await writer.finish()
        return shelving

    async def end(
        self, shelving_id: str, step: tuple[str, str], now: datetime, patience: Patience, record: RecordShelving
    ) -> Shelving:
        """Ends a shelving now; what it set aside is raised again.

        Args:
            shelving_id: of the shelving.
            step: who ends it, and why.
            now: in UTC.
            patience: how long an alert waits for somebody.
            record: writes the audit entry.

        Raises:
            NotFound: there is no such shelving in force (``SHELVING_NOT_FOUND``).
        """
        actor, reason = step
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            row = await connection.fetchrow(QUERIES["get_shelving"], shelving_id)
            if row is None or row["until"] <= now:
                name = f"shelvings/{shelving_id}"
                raise NotFound(f"{name} is not in force", reason="SHELVING_NOT_FOUND", metadata={"name": name})
            shelving = shelving_of(row)
            shelved = [
                alert
                for alert in (alert_of(row) for row in await connection.fetch(QUERIES["list_open"]))
                if alert.shelved_until == shelving.until and shelving.covers(alert)
            ]
            await writer.write_all(
                [
                    take(alert, Step(Act.UNSHELVE, actor, reason, due=deadline(alert.priority, now, patience)), now)
                    for alert in shelved
                ]
            )
            ended = replace(shelving, until=now)
            await _write(connection, ended)
            await record(connection, ended, actor, reason)
            await writer.finish()
        return ended


async def _write(connection: Any, shelving: Shelving) -> None:
    await connection.execute(
        QUERIES["write_shelving"], shelving.shelving_id, shelving.scope, shelving.until, shelving.actor,
        shelving.reason, shelving.create_time,
    )  # fmt: skip
