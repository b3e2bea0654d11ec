"""From the bus into the database. A message is acknowledged when its transaction has been committed, never before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial

import structlog

from alerting import arrivals, contracts
from alerting.domain.annunciation import Policy
from alerting.domain.events import RuleEvent
from alerting.domain.observations import Observation
from alerting.gathering import Gatherer
from alerting.metrics import Metrics
from alerting.store.events import EventStore, Neighbours, Outcome
from alerting.store.observations import MOST_GATHERED, ObservationStore
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from mesh import tracing
from mesh.bus import Bus, Delivery
from mesh.errors import InvalidArgument

log = structlog.get_logger()


class Consumers:
    """Consumes events, observations and health reports.

    A part of a message that is not valid is counted, logged and left out: it would not be valid the next time either,
    and the rest of its message must not wait for it.
    """

    def __init__(
        self,
        store: EventStore,
        observations: ObservationStore,
        metrics: Metrics,
        *,
        policy: Policy,
        neighbours: Neighbours,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._observations = observations
        self._metrics = metrics
        self._policy = policy
        self._neighbours = neighbours
        self._clock = clock
        self._gatherer: Gatherer[RuleEvent] = Gatherer(self._write)
        self._observed: Gatherer[Observation] = Gatherer(self._keep, most=MOST_GATHERED)

    async def consume_events(self, bus: Bus) -> None:
        """Consumes events for ever."""
        await bus.consume(
            "ARGO_EVENTS", durable="alerting", subject="argo.v1.event.>", message_type=bus_pb2.EventBatch,
            handle=self.take_events, batch=512, concurrent=True,
        )  # fmt: skip

    async def consume_observations(self, bus: Bus) -> None:
        """Consumes observations for ever."""
        await bus.consume(
            "ARGO_OBSERVATIONS", durable="alerting", subject="argo.v1.observation.>",
            message_type=bus_pb2.ObservationBatch, handle=self.take_observations, batch=2048, concurrent=True,
        )  # fmt: skip

    async def consume_health(self, bus: Bus) -> None:
        """Consumes health reports for ever."""
        await bus.consume(
            "ARGO_HEALTH", durable="alerting", subject="argo.v1.health.>", message_type=coverage_pb2.HealthReport,
            handle=self.take_report,
        )  # fmt: skip

    async def take_events(self, batch: bus_pb2.EventBatch, delivery: Delivery) -> None:
        """Keeps the events of a batch and raises their alerts.

        Raises:
            Unavailable: the database does not answer; nothing was kept.
        """
        self._note("ARGO_EVENTS", "events", batch.optic, batch.dropped, delivery)
        now = self._clock()
        events = [event for message in batch.events if (event := self._read(message, now)) is not None]
        if events:
            with _traced(batch.events):
                await self._gatherer.add(events)

    async def tell(self, events: Sequence[RuleEvent]) -> None:
        """Raises alarms of alerting's own, by the road that the events of rules take.

        Raises:
            Unavailable: the database does not answer; nothing was kept.
        """
        await self._gatherer.add(events)

    async def take_observations(self, batch: bus_pb2.ObservationBatch, delivery: Delivery) -> None:
        """Keeps the observations of a batch.

        Raises:
            Unavailable: the database does not answer; nothing was kept.
        """
        self._note("ARGO_OBSERVATIONS", "observations", batch.optic, batch.dropped, delivery)
        try:
            observations = arrivals.observations(batch, delivery.published, partial(self._reject, "observations"))
        except InvalidArgument as error:
            self._reject("observations", error)
            return
        if observations:
            await self._observed.add(observations)

    async def take_report(self, message: coverage_pb2.HealthReport, delivery: Delivery) -> None:
        """Enters a health report into the coverage ledger.

        Raises:
            Unavailable: the database does not answer; nothing was kept.
        """
        if delivery.attempt > 1:
            self._metrics.redeliveries.labels("ARGO_HEALTH").inc()
        try:
            report = contracts.health_report(message, self._clock())
        except InvalidArgument as error:
            self._reject("health", error)
            return
        await self._store.write_report(report)

    async def _write(self, events: Sequence[RuleEvent]) -> None:
        self._report(await self._store.write_events(events, self._clock(), self._policy, self._neighbours))

    async def _keep(self, observations: Sequence[Observation]) -> None:
        written = await self._observations.write(observations, self._clock())
        self._metrics.keeping.late.inc(written.late)

    def _read(self, message: bus_pb2.Event, now: datetime) -> RuleEvent | None:
        try:
            return contracts.rule_event(message, now)
        except InvalidArgument as error:
            self._reject("event", error)
            return None

    def _note(self, stream: str, kind: str, optic: str, dropped: int, delivery: Delivery) -> None:
        if delivery.attempt > 1:
            self._metrics.redeliveries.labels(stream).inc()
        if dropped:
            self._metrics.dropped.labels(kind, optic).set(dropped)

    def _report(self, outcome: Outcome) -> None:
        for name, count in (
            ("raised", len(outcome.raised)), ("joined", outcome.joined), ("shadow", outcome.shadowed),
            ("duplicate", outcome.duplicates), ("folded", outcome.folded),
        ):  # fmt: skip
            self._metrics.events.labels(name).inc(count)
        committed = self._clock()
        for alert in outcome.raised:
            latency = (committed - alert.capture_time).total_seconds()
            self._metrics.latency.observe(latency)
            log.info(
                "alert.raised",
                alert=alert.name,
                optic=alert.optic,
                rule=alert.rule,
                priority=alert.priority.name,
                kind=alert.kind.name,
                latency_seconds=round(latency, 3),
            )

    def _reject(self, kind: str, error: InvalidArgument) -> None:
        self._metrics.rejected.labels(kind).inc()
        log.warning("message.rejected", kind=kind, error_reason=error.reason, field=error.metadata.get("field"))


@contextmanager
def _traced(events: Iterable[bus_pb2.Event]) -> Iterator[None]:
    """Continues the trace of each event's frame until the event and its alert are committed; one transaction does all.

    Inside, the trace of the last sampled one is current: its id stands in the log lines.
    """
    with ExitStack() as spans:
        for event in events:
            if event.traceparent:
                attributes = {"event_id": event.event_id, "optic": event.optic, "rule": event.rule}
                span = tracing.start_child("alerting.store_event", event.traceparent, attributes=attributes)
                spans.enter_context(tracing.ending(span))
        yield
