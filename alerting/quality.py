"""How the alarms do, for the gRPC API, the console and the metrics alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

import structlog

from alerting.domain.alerts import Assessment
from alerting.domain.audience import Audience
from alerting.domain.quality import Load, Scorecard
from alerting.metrics import AlarmMetrics
from alerting.records import Records
from alerting.store.quality import Cursor, QualityStore
from mesh.errors import Unavailable

log = structlog.get_logger()

DAY = timedelta(days=1)


class Quality:
    """Every method raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self, store: QualityStore, records: Records, metrics: AlarmMetrics, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._records = records
        self._metrics = metrics
        self._clock = clock

    async def run(self, period_seconds: float) -> NoReturn:
        """Shows the load as metrics, for ever."""
        while True:
            try:
                self._metrics.show_load(await self.load(DAY))
            except Unavailable as error:
                log.debug("alarms.load_unread", error_reason=error.reason)
            await asyncio.sleep(period_seconds)

    async def load(self, window: timedelta) -> Load:
        """What the operators had to bear until now."""
        now = self._clock()
        return await self._store.load(now - window, now)

    async def scorecards(self, days: int, optic: str | None, after: str, limit: int) -> list[Scorecard]:
        """Those of the last days, today included."""
        since = (self._clock() - timedelta(days=days - 1)).date()
        return await self._store.scorecards(since, optic, after, limit)

    async def events_of_alert(
        self, actor: str, alert_id: str, after: Cursor | None, limit: int, reason: str
    ) -> list[tuple[Cursor, bytes]]:
        """The events that an alert stands for; on record first."""
        await self._records.reading(Audience(actor), f"alerts/{alert_id}, events", reason)
        return await self._store.events_of_alert(alert_id, after, limit)

    async def shadow_events(
        self, actor: str, rule: str, after: Cursor | None, limit: int, reason: str
    ) -> list[tuple[Cursor, bytes]]:
        """The events of a rule in shadow; on record first."""
        await self._records.reading(Audience(actor), f"{rule}, events in shadow", reason)
        return await self._store.shadow_events(rule, after, limit)

    async def assess(self, actor: str, event_id: uuid.UUID, assessment: Assessment, reason: str) -> None:
        """Keeps what somebody said of a shadow event.

        Raises:
            NotFound: there is no such event (``EVENT_NOT_FOUND``).
        """

        async def record(connection: Any, name: str) -> None:
            why = reason or f"found {assessment.name.lower().replace('_', ' ')}, no reason given"
            await self._records.change(connection, actor, name, why)

        await self._store.assess(event_id, assessment, record)
