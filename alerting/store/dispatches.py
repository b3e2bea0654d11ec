"""Dispatches in PostgreSQL: made in the transaction of the act, so none is lost and none made twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.domain import tokens
from alerting.domain.alerts import Act, Alert, Step, take
from alerting.domain.dispatches import DeliveryState, Dispatch, Outcome, Reference, dispatch_id, news, references
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from alerting.store.rows import dispatch_of
from alerting.store.timekeeping import RecordStep
from alerting.store.writer import AlertWriter
from mesh.errors import NotFound


@dataclass(frozen=True)
class Outbox:
    """How dispatches are made.

    Attributes:
        render: serialises an alert as a recipient may see it: alert, ``authorities/{tenant}``.
        pushed: recipients with a webhook.
    """

    render: Callable[[Alert, str], bytes]
    pushed: frozenset[str] = frozenset()

    async def post(self, connection: Any, before: Alert, after: Alert, act: Act | None, now: datetime) -> None:
        """Makes what a change is to tell the authorities, in the transaction of the change."""
        told = news(before, after, act)
        if not told:
            return
        sent = [
            (row["recipient"], Reference(row["dispatch_id"], row["send_time"]))
            for row in await connection.fetch(QUERIES["list_sent"], after.alert_id)
        ]
        for kind, recipient in told:
            earlier = references(sent, recipient)
            state = DeliveryState.PENDING if recipient in self.pushed else DeliveryState.NOT_PUSHED
            await connection.execute(
                QUERIES["write_dispatch"], dispatch_id(after, recipient), after.alert_id, recipient, int(kind),
                after.change, now, self.render(after, recipient), [one.dispatch_id for one in earlier],
                [one.send_time for one in earlier], int(state), now if state is DeliveryState.PENDING else None,
            )  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """What came of handing a dispatch to a webhook.

    Attributes:
        state: of the delivery now.
        next_time: when it is tried again; none: it is not.
        problem: what went wrong; empty: nothing did.
    """

    state: DeliveryState
    next_time: datetime | None
    problem: str


class DispatchStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sequence(self) -> tokens.Sequence:
        """How far the changes reach."""
        row = await self._database.fetchrow(QUERIES["get_sequence"])
        return tokens.Sequence(row["epoch"], row["floor"], row["head"])

    async def list_dispatches(self, recipient: str, after: int, until: int, limit: int) -> list[Dispatch]:
        """What was sent to a recipient with changes in ``(after, until]``, oldest first."""
        rows = await self._database.fetch(QUERIES["list_dispatches"], recipient, after, until, limit)
        return [dispatch_of(row) for row in rows]

    async def acknowledge(self, identifier: str, step: Step, now: datetime, record: RecordStep) -> Dispatch:
        """The recipient has a dispatch; saying so again changes nothing.

        Args:
            identifier: of the dispatch.
            step: who says it, and for which recipient.
            now: in UTC.
            record: writes the audit entry.

        Raises:
            NotFound: there is no such dispatch of this recipient (``DISPATCH_NOT_FOUND``).
        """
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            dispatch = await _read(connection, identifier, step.recipient)
            if dispatch.receipt_time is not None:
                return dispatch
            await connection.execute(QUERIES["set_receipt"], identifier, now)
            await _move(connection, writer, dispatch, step, now, record)
        return replace(dispatch, receipt_time=now)

    async def report(
        self, identifier: str, outcome: Outcome, step: Step, now: datetime, record: RecordStep
    ) -> Dispatch:
        """The recipient says what came of it; the latest word counts.

        Raises:
            NotFound: there is no such dispatch of this recipient (``DISPATCH_NOT_FOUND``).
        """
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            dispatch = await _read(connection, identifier, step.recipient)
            await connection.execute(QUERIES["set_outcome"], identifier, int(outcome), step.reason, now)
            said = replace(step, reason=f"{outcome.name.lower().replace('_', ' ')}: {step.reason}".rstrip(": "))
            await _move(connection, writer, dispatch, said, now, record)
        return replace(dispatch, receipt_time=dispatch.receipt_time or now)

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> list[Dispatch]:
        """Takes dispatches to be handed to webhooks, for some time; nobody else takes them meanwhile."""
        rows = await self._database.fetch(QUERIES["claim_dispatches"], now, now + lease, limit)
        return [dispatch_of(row) for row in rows]

    async def settle(self, dispatch: Dispatch, attempt: Attempt, now: datetime) -> None:
        """Keeps what came of an attempt; whoever watches the alert sees when that changes something for people."""
        async with self._database.transaction() as connection:
            writer = await AlertWriter.begin(connection)
            alert_id = await connection.fetchval(
                QUERIES["settle_dispatch"], dispatch.dispatch_id, dispatch.attempts, int(attempt.state),
                attempt.next_time, attempt.problem,
            )  # fmt: skip
            news_for_people = attempt.state is not DeliveryState.PENDING or dispatch.attempts == 1
            alert = await writer.read(alert_id) if alert_id is not None and news_for_people else None
            if alert is not None:
                await writer.write(replace(alert, update_time=now))
            await writer.finish()

    async def count_undelivered(self) -> dict[str, int]:
        """How many dispatches each recipient's webhook has refused so far."""
        return {row["recipient"]: row["waiting"] for row in await self._database.fetch(QUERIES["count_undelivered"])}


async def _read(connection: Any, identifier: str, recipient: str) -> Dispatch:
    row = await connection.fetchrow(QUERIES["get_dispatch"], identifier)
    if row is None or row["recipient"] != recipient:
        name = f"dispatches/{identifier}"
        raise NotFound(f"{name} does not exist", reason="DISPATCH_NOT_FOUND", metadata={"name": name})
    return dispatch_of(row)


async def _move(
    connection: Any, writer: AlertWriter, dispatch: Dispatch, step: Step, now: datetime, record: RecordStep
) -> None:
    alert = await writer.read(dispatch.alert_id)
    if alert is not None:
        moved = await writer.write(take(alert, step, now))
        await record(connection, moved, step)
    await writer.finish()


def changed_by_events(before: Sequence[Alert], after: Sequence[Alert]) -> list[tuple[Alert, Alert]]:
    """The alerts that were sent to somebody and that events have changed, each before and after."""
    known = {alert.alert_id: alert for alert in before if alert.recipients}
    return [(known[alert.alert_id], alert) for alert in after if alert.alert_id in known]
