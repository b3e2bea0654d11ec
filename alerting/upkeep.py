"""What is done again and again: erasing what has expired, and counting what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import structlog

from alerting.metrics import Metrics
from alerting.records import Records
from alerting.store.alerts import AlertStore
from alerting.store.erasure import ErasureStore
from mesh.errors import Unavailable

log = structlog.get_logger()


class Upkeep:
    """Erases on time; a database that is away only delays it."""

    def __init__(
        self,
        erasure: ErasureStore,
        alerts: AlertStore,
        records: Records,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._erasure = erasure
        self._alerts = alerts
        self._records = records
        self._metrics = metrics
        self._clock = clock

    async def run(self, period_seconds: float) -> NoReturn:
        """Keeps house for ever."""
        delayed = False
        while True:
            try:
                await self.once()
                delayed = False
            except Unavailable as error:
                if not delayed:
                    log.warning("erasure.delayed", error_reason=error.reason)
                delayed = True
            await asyncio.sleep(period_seconds)

    async def once(self) -> None:
        """Erases and counts.

        Raises:
            Unavailable: the database or the audit log does not answer; what was not erased is erased the next time.
        """
        erased = {
            kind: count
            for kind, count in (await self._erasure.erase(self._clock(), self._records.erasure)).items()
            if count
        }
        for kind, count in erased.items():
            self._metrics.erased.labels(kind).inc(count)
        if erased:
            log.info("data.erased", **erased)
        self._metrics.show_alerts(await self._alerts.count_by_state())
