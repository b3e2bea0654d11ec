"""Lets time act on alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import structlog

from alerting.domain.alerts import Act
from alerting.domain.escalation import Patience
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.store.timekeeping import TimekeepingStore
from mesh.errors import Unavailable

log = structlog.get_logger()


class Timekeeper:
    """Unshelves and escalates what is due; a database that is away only delays it."""

    def __init__(
        self,
        store: TimekeepingStore,
        records: Records,
        metrics: Metrics,
        *,
        patience: Patience,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._records = records
        self._metrics = metrics
        self._patience = patience
        self._clock = clock

    async def run(self, period_seconds: float) -> NoReturn:
        """Looks again and again, for ever."""
        delayed = False
        while True:
            try:
                await self.once()
                delayed = False
            except Unavailable as error:
                if not delayed:
                    log.warning("alert.due_delayed", error_reason=error.reason)
                delayed = True
            await asyncio.sleep(period_seconds)

    async def once(self) -> None:
        """Does what is due now.

        Raises:
            Unavailable: the database or the audit log does not answer; what is due is done the next time.
        """
        for alert, step in await self._store.sweep(self._clock(), self._patience, self._records.step):
            answered = step.act is not Act.ESCALATE or step.owner
            self._metrics.alarm.time_acted.labels(step.act.value if answered else "unanswered").inc()
            if step.act is Act.UNSHELVE:
                log.info("alert.unshelved", alert=alert.name)
            elif step.owner:
                log.info("alert.escalated", alert=alert.name, priority=alert.priority.name, calls=alert.escalations)
            else:
                log.warning("alert.unanswered", alert=alert.name, priority=alert.priority.name, calls=alert.escalations)
