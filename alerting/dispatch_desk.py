"""What an authority does with what was sent to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from alerting.domain import tokens
from alerting.domain.alerts import Act, Alert, Step
from alerting.domain.audience import Audience
from alerting.domain.dispatches import Dispatch, Outcome
from alerting.domain.tokens import Position
from alerting.records import Records
from alerting.signals import ChangeSignal, happens
from alerting.store.dispatches import DispatchStore
from mesh.errors import PermissionDenied, Unavailable

log = structlog.get_logger()

_PAGE = 100


@dataclass(frozen=True)
class Handover:
    """One message of a watch: a dispatch or a bookmark, and where to go on."""

    dispatch: Dispatch | None
    position: Position


class DispatchDesk:
    """Every method raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self,
        store: DispatchStore,
        records: Records,
        signal: ChangeSignal,
        *,
        bookmark_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._records = records
        self._signal = signal
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock

    async def watch(self, actor: str, resume_token: str, reason: str) -> AsyncGenerator[Handover]:
        """Streams what was sent to an authority, each on record before it is handed over.

        Raises:
            OutOfRange: the token is of another database (``RESUME_TOKEN_EXPIRED``).
            ResourceExhausted: too many watches are open (``TOO_MANY_WATCHES``).
            Unavailable: the service stops (``SHUTTING_DOWN``); go on with the last token.
        """
        audience = Audience(actor)
        recipient = _recipient(audience)
        sequence = await self._store.sequence()
        # What was erased meanwhile is no gap: a dispatch that is still there is after every token.
        whole = tokens.Sequence(sequence.epoch, 0, sequence.head)
        position = tokens.resume(resume_token, whole) if resume_token else Position(sequence.epoch, 0)
        with self._signal.subscribe() as changed:
            idle = True
            while not self._signal.closed:
                changed.clear()
                async for handover in self._catch_up(recipient, position):
                    position = handover.position
                    if handover.dispatch is not None:
                        await self._records.reading(audience, handover.dispatch.name, reason)
                    if handover.dispatch is not None or idle:
                        yield handover
                idle = not await happens(changed, self._bookmark_seconds)
        raise Unavailable("the service stops: go on elsewhere", reason="SHUTTING_DOWN", retry_after=1.0)

    async def _catch_up(self, recipient: str, position: Position) -> AsyncGenerator[Handover]:
        head = (await self._store.sequence()).head
        while True:
            page = await self._store.list_dispatches(recipient, position.change, head, _PAGE)
            for dispatch in page:
                position = Position(position.epoch, dispatch.change)
                yield Handover(dispatch, position)
            if len(page) < _PAGE:
                break
        yield Handover(None, Position(position.epoch, head))

    async def acknowledge(self, actor: str, dispatch_id: str) -> Dispatch:
        """The authority has a dispatch.

        Raises:
            NotFound: there is none of this name for it (``DISPATCH_NOT_FOUND``).
        """
        step = Step(Act.RECEIVE, actor, recipient=_recipient(Audience(actor)))
        dispatch = await self._store.acknowledge(dispatch_id, step, self._clock(), self._record)
        log.info("dispatch.received", dispatch=dispatch.name, recipient=dispatch.recipient)
        return dispatch

    async def report(self, actor: str, dispatch_id: str, outcome: Outcome, note: str) -> Dispatch:
        """The authority says what came of it.

        Raises:
            NotFound: there is none of this name for it (``DISPATCH_NOT_FOUND``).
        """
        step = Step(Act.REPORT, actor, note, recipient=_recipient(Audience(actor)))
        dispatch = await self._store.report(dispatch_id, outcome, step, self._clock(), self._record)
        log.info("dispatch.reported", dispatch=dispatch.name, recipient=dispatch.recipient, outcome=outcome.name)
        return dispatch

    async def _record(self, connection: Any, alert: Alert, step: Step) -> None:
        await self._records.step(connection, alert, step)


def _recipient(audience: Audience) -> str:
    if audience.recipient is None:
        raise PermissionDenied("only an authority has dispatches", reason="NOT_AN_AUTHORITY")
    return audience.recipient
