"""What time does with alerts: shelved ones come back, and those that nobody takes on are escalated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from alerting.domain.alerts import Alert, Step, take
from alerting.domain.escalation import Patience, due_step
from alerting.domain.shifts import on_duty
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of, shift_of
from alerting.store.writer import AlertWriter

_MOST = 500

RecordStep = Callable[[Any, Alert, Step], Awaitable[None]]
"""Puts a step on record, on the connection and in the transaction of the step."""


class TimekeepingStore:
    """Does what is due, once, however many replicas look. Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self, now: datetime, patience: Patience, record: RecordStep) -> list[tuple[Alert, Step]]:
        """Does what is due at ``now``, some hundred alerts at a time.

        Args:
            now: in UTC.
            patience: how long an alert waits for somebody.
            record: writes the audit entry; when it raises, nothing was done.

        Returns:
            The alerts as they are now, each with what was done.
        """
        # Most of the time nothing is due, and nobody who writes is to wait for that.
        if not (await self._database.fetchrow(QUERIES["any_due"], now))["exists"]:
            return []
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            shift = on_duty([shift_of(row) for row in await connection.fetch(QUERIES["list_open_shifts"])])
            watch_list = shift.watch_list if shift is not None else ()
            due = [alert_of(row) for row in await connection.fetch(QUERIES["list_due"], now, _MOST)]
            steps = [(alert, step) for alert in due if (step := due_step(alert, watch_list, now, patience)) is not None]
            written = await writer.write_all([take(alert, step, now) for alert, step in steps])
            done = [(alert, step) for alert, (_, step) in zip(written, steps, strict=True)]
            for alert, step in done:
                await record(connection, alert, step)
            await writer.finish()
        return done
