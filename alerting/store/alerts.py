"""Reading alerts, and what operators do with them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.domain import tokens
from alerting.domain.alerts import Alert, Kind, State, Step, take
from alerting.store.database import Database
from alerting.store.dispatches import Outbox
from alerting.store.queries import QUERIES
from alerting.store.rows import alert_of
from alerting.store.verdicts import count_verdict
from alerting.store.writer import AlertWriter
from mesh.errors import InvalidArgument, NotFound


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts to list.

    Attributes:
        states: any of these; none means all.
        optic: ``devices/{device}/optics/{optic}``; none means all.
        recipient: ``authorities/{tenant}`` that they were dispatched to; none means whatever their recipients.
    """

    states: tuple[State, ...] = ()
    optic: str | None = None
    recipient: str | None = None


@dataclass(frozen=True)
class Request:
    """One act that is asked for.

    Attributes:
        alert_id: of the alert to act on.
        step: the act.
        request_id: names the request, so that its repetition is answered alike; none: it is not repeated.
    """

    alert_id: str
    step: Step
    request_id: uuid.UUID | None = None

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of what is asked for."""
        return hashlib.sha256(repr((self.alert_id, self.step)).encode()).digest()


Record = Callable[[Any, Alert], Awaitable[None]]
"""Puts an act on an alert on record, on the connection and in the transaction of the act."""


class AlertStore:
    """Alerts in PostgreSQL.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def get_alert(self, alert_id: str) -> Alert | None:
        """Reads one, or none."""
        row = await self._database.fetchrow(QUERIES["get_alert"], alert_id)
        return None if row is None else alert_of(row)

    async def list_alerts(self, which: AlertFilter, after: tuple[datetime, str] | None, limit: int) -> list[Alert]:
        """Reads a page, newest first.

        Args:
            which: the filter.
            after: creation time and id of the last alert of the page before; none: from the newest.
            limit: at most so many.
        """
        time, alert_id = after or (None, "")
        rows = await self._database.fetch(
            QUERIES["list_alerts"], [int(state) for state in which.states], which.optic, which.recipient, time,
            alert_id, limit,
        )  # fmt: skip
        return [alert_of(row) for row in rows]

    async def sequence(self) -> tokens.Sequence:
        """How far the changes reach."""
        row = await self._database.fetchrow(QUERIES["get_sequence"])
        return tokens.Sequence(row["epoch"], row["floor"], row["head"])

    async def changes(
        self, after: int, until: int, *, snapshot: int, recipient: str | None, limit: int
    ) -> Sequence[Alert]:
        """Alerts by their latest change, oldest first.

        Args:
            after: only changes after this one.
            until: only changes up to this one.
            snapshot: up to this change closed alerts are left out.
            recipient: only alerts dispatched to it; none: all.
            limit: at most so many.
        """
        rows = await self._database.fetch(QUERIES["list_changes"], after, until, snapshot, recipient, limit)
        return [alert_of(row) for row in rows]

    async def apply(
        self,
        request: Request,
        now: datetime,
        *,
        prepare: Callable[[Alert], Step],
        record: Record,
        respond: Callable[[Alert], bytes],
    ) -> bytes:
        """Does what is asked for, exactly once, and puts it on record in the same transaction.

        Args:
            request: the act.
            now: the time of the act, in UTC.
            prepare: completes the step with what follows from the alert as it is.
            record: writes the audit entry; when it raises, nothing happened.
            respond: serialises the answer, which is kept for a repetition.

        Returns:
            The answer: of this act, or of the first one with the same request id.

        Raises:
            NotFound: there is no such alert (``ALERT_NOT_FOUND``).
            InvalidArgument: the request id was used for something else (``REQUEST_ID_REUSED``).
            Aborted: see ``alerting.domain.alerts.take``.
            FailedPrecondition: likewise.
        """
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            alert = await writer.read(request.alert_id)
            if alert is None:
                raise not_found(request.alert_id)
            answered = await _replay(connection, request)
            if answered is not None:
                await record(connection, alert)
                return answered
            changed = await writer.write(take(alert, prepare(alert), now))
            await _count(connection, alert, changed)
            await self._outbox.post(connection, alert, changed, request.step.act, now)
            response = respond(changed)
            await _remember(connection, request, response)
            await record(connection, changed)
            await writer.finish()
        return response

    async def count_by_state(self) -> dict[State, int]:
        """How many alerts are in each state."""
        counts = {row["state"]: row["alerts"] for row in await self._database.fetch(QUERIES["count_alerts"])}
        return {state: counts.get(int(state), 0) for state in State}


async def _count(connection: Any, before: Alert, after: Alert) -> None:
    """A verdict counts for the rule; that on a flood is about many rules, and so about none."""
    if after.kind is not Kind.FLOOD:
        verdicts = (before.assessment, after.assessment)
        await count_verdict(connection, after.rule, after.capture_time, verdicts, live=True)


def not_found(alert_id: str) -> NotFound:
    """There is no such alert, or the reader may not know that there is."""
    name = f"alerts/{alert_id}"
    return NotFound(f"{name} does not exist", reason="ALERT_NOT_FOUND", metadata={"name": name})


async def _replay(connection: Any, request: Request) -> bytes | None:
    if request.request_id is None:
        return None
    row = await connection.fetchrow(QUERIES["get_request"], request.step.actor, request.request_id)
    if row is None:
        return None
    if row["fingerprint"] != request.fingerprint:
        raise InvalidArgument(
            "this request_id was used for another request", reason="REQUEST_ID_REUSED", metadata={"field": "request_id"}
        )
    return bytes(row["response"])


async def _remember(connection: Any, request: Request, response: bytes) -> None:
    if request.request_id is not None:
        await connection.execute(
            QUERIES["write_request"], request.step.actor, request.request_id, request.alert_id, request.fingerprint,
            response,
        )  # fmt: skip
