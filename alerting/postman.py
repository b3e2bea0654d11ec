"""Takes dispatches from the outbox to the authorities' webhooks: at least once each, in order, on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from alerting import dispatch_messages
from alerting.domain.dispatches import DeliveryState, Dispatch, next_attempt
from alerting.metrics import AlarmMetrics
from alerting.records import Records
from alerting.signals import ChangeSignal
from alerting.store.dispatches import Attempt, DispatchStore
from alerting.webhooks import Answer, WebhookClient, Webhooks, sign
from mesh.errors import Unavailable

log = structlog.get_logger()

_AT_ONCE = 16
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Round:
    """Whom the postman goes to.

    Attributes:
        webhooks: by the name of the authority.
        client: dials them.
        cap: writes CAP messages.
    """

    webhooks: Webhooks
    client: WebhookClient
    cap: dispatch_messages.CapSender


@dataclass(frozen=True)
class Timing:
    """When the postman tries again.

    Attributes:
        patience: how long a dispatch is tried.
        lease: after which a dispatch that somebody took and did not settle is tried again; longer than an attempt.
        clock: tells the time, in UTC.
        chance: draws evenly from 0 to 1.
    """

    patience: timedelta
    lease: timedelta
    clock: Callable[[], datetime]
    chance: Callable[[], float]


class Postman:
    """Works for as long as the service does; any number of replicas may."""

    def __init__(
        self, store: DispatchStore, records: Records, route: Round, metrics: AlarmMetrics, timing: Timing
    ) -> None:
        self._store = store
        self._records = records
        self._route = route
        self._metrics = metrics
        self._timing = timing
        self._failing: set[str] = set()

    async def run(self, signal: ChangeSignal) -> NoReturn:
        """Delivers for ever: at once when something was sent, and again when an attempt is due."""
        with signal.attend() as changed:
            while True:
                changed.clear()
                try:
                    while await self.once():
                        pass
                except Unavailable as error:
                    log.debug("dispatch.delivery_interrupted", error_reason=error.reason)
                try:
                    async with asyncio.timeout(_PAUSE_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def once(self) -> int:
        """Tries what is due; how many there were.

        Raises:
            Unavailable: the database or the audit log does not answer; what was taken is tried again after the lease.
        """
        dispatches = await self._store.claim(self._timing.clock(), self._timing.lease, _AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for dispatch in dispatches:
                tasks.create_task(self._deliver(dispatch), name=f"webhook-{dispatch.tenant}")
        if dispatches:
            undelivered = await self._store.count_undelivered()
            for tenant in self._route.webhooks:
                self._metrics.undelivered.labels(tenant).set(undelivered.get(f"authorities/{tenant}", 0))
        return len(dispatches)

    async def _deliver(self, dispatch: Dispatch) -> None:
        try:
            answer = await self._push(dispatch)
            await self._settle(dispatch, answer)
        except Unavailable as error:
            log.debug("dispatch.delivery_interrupted", error_reason=error.reason)

    async def _push(self, dispatch: Dispatch) -> Answer:
        webhook = self._route.webhooks.get(dispatch.tenant)
        if webhook is None:
            return Answer("has no webhook any more")
        if dispatch.attempts == 1:
            await self._records.communication(dispatch)
        content_type, body = dispatch_messages.body(dispatch, webhook.format, self._route.cap, webhook.event_codes)
        headers = {"Content-Type": content_type, **sign(webhook, dispatch.dispatch_id, self._timing.clock(), body)}
        return await self._route.client.post(webhook, headers, body)

    async def _settle(self, dispatch: Dispatch, answer: Answer) -> None:
        now = self._timing.clock()
        if not answer.problem:
            await self._store.settle(dispatch, Attempt(DeliveryState.DELIVERED, None, ""), now)
            self._metrics.pushed.labels(dispatch.tenant, "delivered").inc()
            log.info(
                "dispatch.delivered", dispatch=dispatch.name, recipient=dispatch.recipient, attempts=dispatch.attempts
            )
            self._failing.discard(dispatch.tenant)
            return
        time = next_attempt(
            dispatch.attempts, now, self._timing.chance(), send_time=dispatch.send_time, patience=self._timing.patience,
            retry_after=answer.retry_after,
        )  # fmt: skip
        state = DeliveryState.PENDING if time is not None else DeliveryState.GIVEN_UP
        await self._store.settle(dispatch, Attempt(state, time, answer.problem), now)
        self._metrics.pushed.labels(dispatch.tenant, "failed" if time is not None else "given_up").inc()
        self._say(dispatch, answer.problem, given_up=time is None)

    def _say(self, dispatch: Dispatch, problem: str, *, given_up: bool) -> None:
        """Once per authority that fails, not once per attempt; what is given up is said each time."""
        if given_up:
            log.error("dispatch.given_up", dispatch=dispatch.name, recipient=dispatch.recipient, problem=problem)
        elif dispatch.tenant not in self._failing:
            self._failing.add(dispatch.tenant)
            log.warning("dispatch.refused", dispatch=dispatch.name, recipient=dispatch.recipient, problem=problem)
