"""Who is on duty, for the gRPC API and the console alike."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from alerting.domain.alerts import Alert
from alerting.domain.shifts import Shift
from alerting.records import Records
from alerting.store.shifts import ShiftStore, hand_over_step

log = structlog.get_logger()


class Duty:
    """Opens, changes, hands over and closes shifts.

    Every method raises ``Unavailable`` when the database does not answer, and those that name a shift ``NotFound`` and
    ``FailedPrecondition`` as ``ShiftStore`` does.
    """

    def __init__(self, store: ShiftStore, records: Records, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._records = records
        self._clock = clock

    async def list_shifts(self, limit: int) -> list[Shift]:
        """The newest shifts, newest first."""
        return await self._store.list_shifts(limit)

    async def list_open(self) -> list[Shift]:
        """The shifts that have not ended, oldest first."""
        return await self._store.list_open()

    async def open(self, actor: str, called: tuple[str, ...], request_id: uuid.UUID | None) -> Shift:
        """Opens a shift with its first member."""
        shift = Shift(f"s-{request_id or uuid.uuid4()}", (actor,), called, self._clock())
        shift = await self._store.open(shift)
        log.info("shift.opened", shift=shift.name, watch_list=len(shift.watch_list))
        return shift

    async def join(self, shift_id: str, actor: str) -> Shift:
        """Makes somebody a member."""
        shift = await self._store.change(
            shift_id,
            lambda shift: shift if actor in shift.members else replace(shift, members=(*shift.members, actor)),
        )
        log.info("shift.joined", shift=shift.name, members=len(shift.members))
        return shift

    async def set_watch_list(self, shift_id: str, called: tuple[str, ...]) -> Shift:
        """Says who is called, in which order."""
        shift = await self._store.change(shift_id, lambda shift: replace(shift, called=called))
        log.info("shift.watch_list_set", shift=shift.name, watch_list=len(called))
        return shift

    async def hand_over(self, shift_id: str, actor: str, owner: str, note: str) -> list[Alert]:
        """Gives everything of the actor's to somebody of another open shift."""
        step = hand_over_step(actor, owner, note)
        alerts = await self._store.hand_over(shift_id, step, self._clock(), self._records.step)
        log.info("shift.handed_over", shift=f"shifts/{shift_id}", alerts=len(alerts))
        return alerts

    async def close(self, shift_id: str, actor: str, note: str) -> Shift:
        """Ends a shift that leaves nothing behind."""
        shift = await self._store.close(shift_id, actor, note, self._clock())
        log.info("shift.closed", shift=shift.name)
        return shift
