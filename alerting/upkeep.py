"""What is done again and again: erasing what has expired, and counting what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import NoReturn

import structlog

from alerting.domain import holds
from alerting.domain.holds import HeldInterval
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.store.alerts import AlertStore
from alerting.store.erasure import ErasureStore
from alerting.store.holds import HoldStore
from alerting.store.observations import ObservationStore
from mesh.errors import Unavailable

log = structlog.get_logger()


ReadHolds = Callable[[], Awaitable[Iterable[HeldInterval]]]
"""Asks the registry what is held now; raises Unavailable."""


class HoldWatch:
    """Knows what legal holds keep."""

    def __init__(self, store: HoldStore, read: ReadHolds, metrics: Metrics) -> None:
        self._store = store
        self._read = read
        self._metrics = metrics
        self._lost = False

    async def learn(self, now: datetime) -> datetime | None:
        """Asks the registry; what outlived its term by the answered time may go. None: nothing that a hold can keep.

        While the registry does not say what is held, only what is overdue by the longest postponement goes, and of that
        nothing that was held when it last answered.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            held = await self._read()
        except Unavailable as error:
            self._tell(lost=True, reason=error.reason)
            answered = await self._store.answered()
        else:
            self._tell(lost=False)
            await self._store.replace(held, now)
            answered = now
        return holds.due_by(now, answered)

    def _tell(self, *, lost: bool, reason: str = "") -> None:
        self._metrics.keeping.holds_known.set(not lost)
        if lost and not self._lost:
            hours = holds.LONGEST_POSTPONEMENT.total_seconds() / 3600
            log.error("erasure.postponed", error_reason=reason, at_most_hours=hours)
        if self._lost and not lost:
            log.info("erasure.resumed")
        self._lost = lost


class Upkeep:
    """Erases on time; a database that is away only delays it."""

    def __init__(
        self,
        erasure: ErasureStore,
        observations: ObservationStore,
        hold_watch: HoldWatch,
        alerts: AlertStore,
        records: Records,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._erasure = erasure
        self._observations = observations
        self._hold_watch = hold_watch
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
        """Erases, makes room for the days to come, and counts.

        Raises:
            Unavailable: the database or the audit log does not answer; what was not erased is erased the next time.
        """
        now = self._clock()
        await self._observations.prepare_days(now)
        await self._observations.settle(now)
        erased = {kind: count for kind, count in (await self._erase(now)).items() if count}
        for kind, count in erased.items():
            self._metrics.erased.labels(kind).inc(count)
        if erased:
            log.info("data.erased", **erased)
        self._metrics.show_alerts(await self._alerts.count_by_state())

    async def _erase(self, now: datetime) -> dict[str, int]:
        due_by = await self._hold_watch.learn(now)
        if due_by is None:
            return await self._erasure.erase_what_no_hold_keeps(now, self._records.erasure)
        return await self._erasure.erase(now, self._records.erasure, due_by)
