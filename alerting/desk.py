"""The control room's desk: every look at alerts and every act on them, for the gRPC API and the console alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.alerts import Act, Alert, State, Step
from alerting.domain.audience import Audience
from alerting.domain.escalation import Patience, scheduled
from alerting.domain.tokens import Position
from alerting.records import Records
from alerting.signals import ChangeSignal, happens
from alerting.store.alerts import AlertFilter, AlertStore, Request, not_found
from mesh.errors import InvalidArgument, Unavailable

log = structlog.get_logger()

_WATCH_PAGE = 200


@dataclass(frozen=True)
class Schedule:
    """When time acts on alerts.

    Attributes:
        patience: how long one waits for somebody to take it on.
        longest_shelving: how long one may be set aside at most.
    """

    patience: Patience
    longest_shelving: timedelta


@dataclass(frozen=True)
class Page:
    """A page of alerts and the token of the next one, empty at the end."""

    alerts: list[Alert]
    next_page_token: str


@dataclass(frozen=True)
class Change:
    """One message of a watch: an alert as it is now, or a bookmark, and where to go on."""

    alert: Alert | None
    position: Position


class AlertDesk:
    """Reads and moves alerts. Nothing is handed over that is not on record first.

    Every method raises ``Unavailable`` when the database or the audit log does not answer.
    """

    def __init__(
        self,
        store: AlertStore,
        records: Records,
        signal: ChangeSignal,
        *,
        authorities: tuple[str, ...],
        bookmark_seconds: float,
        schedule: Schedule,
        clock: Callable[[], datetime],
    ) -> None:
        """Takes what it works with.

        Args:
            store: of the alerts.
            records: the audit log.
            signal: of their changes.
            authorities: tenants that alerts may be dispatched to.
            bookmark_seconds: a watch that heard of nothing looks for itself, and says so, this often.
            schedule: when time acts on alerts.
            clock: tells the time, in UTC.
        """
        self._store = store
        self._schedule = schedule
        self._records = records
        self._signal = signal
        self._recipients = frozenset(f"authorities/{tenant}" for tenant in authorities)
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock

    async def get_alert(self, audience: Audience, alert_id: str, reason: str) -> Alert:
        """Reads one.

        Raises:
            NotFound: there is no such alert for this reader (``ALERT_NOT_FOUND``).
        """
        alert = await self._store.get_alert(alert_id)
        if alert is None or not audience.sees(alert):
            raise not_found(alert_id)
        await self._records.reading(audience, alert.name, reason)
        return audience.view(alert)

    async def list_alerts(
        self, audience: Audience, states: tuple[State, ...], optic: str | None, page: tuple[int, str], reason: str
    ) -> Page:
        """Reads a page, newest first.

        Args:
            audience: who reads.
            states: any of these; none means all.
            optic: only of this one; none means all.
            page: its size and token, as in the request.
            reason: why.

        Raises:
            InvalidArgument: the size or the token is wrong, or the token is of another filter.
        """
        limit, which = tokens.page_size(page[0]), AlertFilter(states, optic, audience.recipient)
        mark = ",".join(str(int(state)) for state in states) + (optic or "")
        alerts = await self._store.list_alerts(which, _after(page[1], mark), limit + 1)
        alerts, more = alerts[:limit], len(alerts) > limit
        await self._records.reading(audience, _extent(alerts), reason)
        token = tokens.encode_token(mark, alerts[-1].create_time.isoformat(), alerts[-1].alert_id) if more else ""
        return Page([audience.view(alert) for alert in alerts], token)

    async def watch(self, audience: Audience, resume_token: str, reason: str) -> AsyncGenerator[Change]:
        """Streams alerts: a snapshot of those not closed, or what has changed since the token; then every change.

        A reader who is slow misses states in between and never the last one. No more than a page is held for it.

        Raises:
            OutOfRange: the token is too old (``RESUME_TOKEN_EXPIRED``).
            ResourceExhausted: too many watches are open (``TOO_MANY_WATCHES``).
            Unavailable: the service stops (``SHUTTING_DOWN``); go on with the last token.
        """
        sequence = await self._store.sequence()
        position = tokens.resume(resume_token, sequence) if resume_token else Position(sequence.epoch, 0)
        snapshot = 0 if resume_token else sequence.head
        with self._signal.subscribe() as changed:
            await self._records.reading(audience, "alerts/-, watch", reason)
            idle = True
            while not self._signal.closed:
                changed.clear()
                async for change in self._catch_up(audience, position, snapshot):
                    position = change.position
                    if change.alert is not None or idle:
                        yield change
                idle = not await happens(changed, self._bookmark_seconds)
        raise Unavailable("the service stops: go on elsewhere", reason="SHUTTING_DOWN", retry_after=1.0)

    async def _catch_up(self, audience: Audience, position: Position, snapshot: int) -> AsyncIterator[Change]:
        """Everything from a position to the head, then a bookmark there."""
        head = (await self._store.sequence()).head
        while True:
            alerts = await self._store.changes(
                position.change, head, snapshot=snapshot, recipient=audience.recipient, limit=_WATCH_PAGE
            )
            for alert in alerts:
                position = Position(position.epoch, alert.change)
                yield Change(audience.view(alert), position)
            if len(alerts) < _WATCH_PAGE:
                break
        yield Change(None, Position(position.epoch, head))

    async def act(self, request: Request, respond: Callable[[Alert], bytes]) -> bytes:
        """Does what an operator asks for, once, and on record.

        Args:
            request: what is asked for.
            respond: serialises the answer.

        Returns:
            The answer; that of the first time when the request is repeated.

        Raises:
            NotFound, InvalidArgument, Aborted, FailedPrecondition: see ``AlertStore.apply``.
        """
        step = request.step
        if step.act is Act.DISPATCH and step.recipient not in self._recipients:
            raise InvalidArgument(
                f"{step.recipient} is not an authority that alerts may be sent to",
                reason="UNKNOWN_RECIPIENT",
                metadata={"recipient": step.recipient},
            )

        now = self._clock()

        async def record(connection: Any, alert: Alert) -> None:
            await self._records.step(connection, alert, step)

        def prepare(alert: Alert) -> Step:
            return scheduled(step, alert, now, self._schedule.patience, self._schedule.longest_shelving)

        response = await self._store.apply(request, now, prepare=prepare, record=record, respond=respond)
        log.info("alert.moved", alert=f"alerts/{request.alert_id}", act=step.act.value)
        return response


def _after(token: str, mark: str) -> tuple[datetime, str] | None:
    if not token:
        return None
    given, time, alert_id = tokens.decode_token(token, 3, "page_token")
    if given != mark:
        raise tokens.invalid("page_token", "is of a request with another filter")
    return tokens.page_time(time), contracts.alert_id(f"alerts/{alert_id}")


def _extent(alerts: list[Alert]) -> str:
    """What a page discloses: in the order of the list, the first and the last name say which alerts it held."""
    if not alerts:
        return "alerts/-, none"
    return f"alerts/-, {len(alerts)} from {alerts[0].name} to {alerts[-1].name}"
