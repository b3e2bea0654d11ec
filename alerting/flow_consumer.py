"""Counts, from the bus into the database. A message is acknowledged when its transaction has been committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from alerting.domain.flows import grid
from alerting.flow_contracts import flow_report
from alerting.metrics import Metrics
from alerting.store.flows import FlowStore
from argo.detector.v1 import bus_pb2
from mesh.bus import Bus, Delivery
from mesh.errors import InvalidArgument

log = structlog.get_logger()

STREAM = "ARGO_FLOWS"
"""Declared by the detector, which owns it."""


class Progress:
    """How far the counts have come: what was published before ``reached`` was counted, as far as anybody can tell."""

    def __init__(self, now: datetime) -> None:
        self._published: datetime | None = None
        self._heard = now

    def note(self, published: datetime, now: datetime) -> None:
        """A message that the bus stored at ``published`` was counted at ``now``."""
        self._published = published if self._published is None else max(self._published, published)
        self._heard = now

    def wait(self, now: datetime) -> None:
        """The bus is away: from now on it has to be quiet anew."""
        self._heard = now

    def reached(self, now: datetime, quiet: timedelta) -> datetime:
        """Everything that the bus had by then was counted.

        Args:
            now: in UTC.
            quiet: a bus that brought nothing for so long has nothing more.
        """
        if now - self._heard >= quiet:
            return now
        return self._published if self._published is not None else grid.EPOCH


class FlowConsumer:
    """Consumes counts. A message that is not valid is counted, logged and left out: it will never be valid."""

    def __init__(self, store: FlowStore, metrics: Metrics, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self.progress = Progress(clock())

    async def consume(self, bus: Bus) -> NoReturn:
        """Consumes counts for ever."""
        await bus.consume(
            STREAM, durable="alerting", subject="argo.v1.flow.>", message_type=bus_pb2.FlowBatch, handle=self.take
        )

    async def take(self, batch: bus_pb2.FlowBatch, delivery: Delivery) -> None:
        """Adds the counts of a message to their minute.

        Raises:
            Unavailable: the database does not answer; nothing was kept.
        """
        if delivery.attempt > 1:
            self._metrics.redeliveries.labels(STREAM).inc()
        try:
            report = flow_report(batch, self._clock())
        except InvalidArgument as error:
            self._metrics.rejected.labels("flow").inc()
            log.warning("message.rejected", kind="flow", error_reason=error.reason, field=error.metadata.get("field"))
            self.progress.note(delivery.published, self._clock())
            return
        counted = await self._store.write_report(report)
        self.progress.note(delivery.published, self._clock())
        self._metrics.flow_reports.labels("counted" if counted else "duplicate").inc()
