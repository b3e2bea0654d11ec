"""Shifts in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerting.domain.alerts import Act, Alert, Step, take
from alerting.domain.shifts import Shift, check_close, check_member, check_open
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of, shift_of
from alerting.store.timekeeping import RecordStep
from alerting.store.writer import AlertWriter
from mesh.errors import NotFound


class ShiftStore:
    """Opens, changes and closes shifts, each under the lock under which alerts change: nothing slips in between.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_shifts(self, limit: int) -> list[Shift]:
        """The newest shifts, newest first."""
        return [shift_of(row) for row in await self._database.fetch(QUERIES["list_shifts"], limit)]

    async def list_open(self) -> list[Shift]:
        """The shifts that have not ended, oldest first."""
        return [shift_of(row) for row in await self._database.fetch(QUERIES["list_open_shifts"])]

    async def open(self, shift: Shift) -> Shift:
        """Keeps a new shift; one with this id that is there already is returned as it is."""
        async with self._database.transaction() as connection:
            await AlertWriter.begin(connection)
            row = await connection.fetchrow(QUERIES["get_shift"], shift.shift_id)
            return shift_of(row) if row is not None else await _write(connection, shift)

    async def change(self, shift_id: str, change: Callable[[Shift], Shift]) -> Shift:
        """Changes an open shift.

        Raises:
            NotFound: there is no such shift (``SHIFT_NOT_FOUND``).
            FailedPrecondition: it is closed (``SHIFT_CLOSED``).
        """
        async with self._database.transaction() as connection:
            await AlertWriter.begin(connection)
            shift = await _read(connection, shift_id)
            check_open(shift)
            return await _write(connection, change(shift))

    async def hand_over(self, shift_id: str, step: Step, now: datetime, record: RecordStep) -> list[Alert]:
        """Gives every open alert of the actor to a member of another open shift.

        Args:
            shift_id: the actor's.
            step: who, to whom and with which note.
            now: in UTC.
            record: writes an audit entry for each alert.

        Raises:
            NotFound: there is no such shift.
            FailedPrecondition: the actor is not of it, or the other person of no other one (``NOT_A_MEMBER``).
        """
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            shift = await _read(connection, shift_id)
            check_member(shift, step.actor)
            others = await _others(connection, shift)
            check_member(next((other for other in others if step.owner in other.members), shift), step.owner)
            alerts = [alert for alert in await _open_alerts(connection) if alert.owner == step.actor]
            written = await writer.write_all([take(alert, step, now) for alert in alerts])
            for alert in written:
                await record(connection, alert, step)
            await writer.finish()
        return written

    async def close(self, shift_id: str, actor: str, note: str, now: datetime) -> Shift:
        """Ends a shift that leaves nothing behind.

        Raises:
            NotFound: there is no such shift.
            FailedPrecondition: see ``alerting.domain.shifts.check_close``.
        """
        async with self._database.transaction() as connection:
            await AlertWriter.begin(connection)
            shift = await _read(connection, shift_id)
            check_close(shift, await _others(connection, shift), await _open_alerts(connection))
            return await _write(connection, replace(shift, close_time=now, closed_by=actor, note=note))


def hand_over_step(actor: str, owner: str, note: str) -> Step:
    """One step for each alert that is given away."""
    return Step(Act.HAND_OVER, actor, note, owner=owner)


async def _read(connection: Any, shift_id: str) -> Shift:
    row = await connection.fetchrow(QUERIES["get_shift"], shift_id)
    if row is None:
        name = f"shifts/{shift_id}"
        raise NotFound(f"{name} does not exist", reason="SHIFT_NOT_FOUND", metadata={"name": name})
    return shift_of(row)


async def _others(connection: Any, shift: Shift) -> list[Shift]:
    shifts = [shift_of(row) for row in await connection.fetch(QUERIES["list_open_shifts"])]
    return [other for other in shifts if other.shift_id != shift.shift_id]


async def _open_alerts(connection: Any) -> list[Alert]:
    return [alert_of(row) for row in await connection.fetch(QUERIES["list_open"])]


async def _write(connection: Any, shift: Shift) -> Shift:
    await connection.execute(
        QUERIES["write_shift"], shift.shift_id, list(shift.members), list(shift.called), shift.open_time,
        shift.close_time, shift.closed_by, shift.note,
    )  # fmt: skip
    return shift
