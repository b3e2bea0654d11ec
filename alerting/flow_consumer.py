"""Counts, from the bus into the database. A message is acknowledged when its transaction has been committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from alerting.flow_contracts import flow_report
from alerting.metrics import Metrics
from alerting.store.flows import FlowStore
from argo.detector.v1 import bus_pb2
from mesh.bus import Bus, Delivery
from mesh.errors import InvalidArgument

log = structlog.get_logger()

STREAM = "ARGO_FLOWS"
"""Declared by the detector, which owns it."""


class FlowConsumer:
    """Consumes counts. A message that is not valid is counted, logged and left out: it will never be valid."""

    def __init__(self, store: FlowStore, metrics: Metrics, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock

    async def consume(self, bus: Bus) -> None:
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
            return
        counted = await self._store.write_report(report)
        self._metrics.flow_reports.labels("counted" if counted else "duplicate").inc()
