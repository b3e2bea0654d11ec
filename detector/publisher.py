"""Events, observations and counts to the bus: per optic and interval, bounded while the bus is away."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog
from opentelemetry import context as trace_context

from argo.detector.v1 import bus_pb2
from detector.domain.outbox import Outbox, Parcel
from detector.packing import pack_flow, pack_observations
from detector.unpacking import OPTIC_NAME
from mesh.bus import Bus, StreamSpec
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message
    from opentelemetry.context import Context

    from detector.domain.configuration import OpticConfiguration
    from detector.domain.flows import Flow
    from detector.domain.observations import Observation
    from detector.metrics import DetectorMetrics

log = structlog.get_logger()

STREAMS: Final = (
    StreamSpec("ARGO_EVENTS", ("argo.v1.event.>",)),
    StreamSpec("ARGO_OBSERVATIONS", ("argo.v1.observation.>",)),
    StreamSpec("ARGO_FLOWS", ("argo.v1.flow.>",)),
)
"""The streams that the detector owns."""

RETRY_SECONDS: Final = 0.5
MOST_ITEMS: Final = 256
"""Of one message: 256 observations of 64 points stay below half of NATS's largest message, 1 MiB."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    configuration: OpticConfiguration
    content: T
    trace: Context


class _Channel(Generic[T]):
    """One kind of message: its outbox and how a parcel of it is packed."""

    def __init__(
        self,
        kind: str,
        capacity: int,
        pack: Callable[[OpticConfiguration, Sequence[T], int], Message],
        *,
        most: int = MOST_ITEMS,
    ) -> None:
        self.kind = kind
        self.outbox: Outbox[_Item[T]] = Outbox(capacity)
        self._pack = pack
        self._most = most

    def add(self, configuration: OpticConfiguration, content: T) -> int:
        return self.outbox.add(configuration.optic, _Item(configuration, content, trace_context.get_current()))

    def take(self) -> tuple[str, Message, Context] | None:
        parcel: Parcel[_Item[T]] | None = self.outbox.take(self._most)
        if parcel is None:
            return None
        newest = parcel.items[-1]
        message = self._pack(newest.configuration, [item.content for item in parcel.items], parcel.dropped)
        return subject(self.kind, parcel.optic), message, newest.trace


class Publisher:
    """Publishes in the background. `run` must be running.

    Args:
        bus: where to.
        interval: seconds between two rounds.
        capacity: items of each kind that are kept while the bus is away.
        metrics: see DetectorMetrics.
    """

    def __init__(self, bus: Bus, *, interval: float, capacity: int, metrics: DetectorMetrics) -> None:
        self._bus = bus
        self._interval = interval
        self._metrics = metrics
        self._events: _Channel[bus_pb2.Event] = _Channel("event", capacity, _pack_events)
        self._observations: _Channel[Observation] = _Channel("observation", capacity, _pack_observations)
        self._flows: _Channel[Flow] = _Channel("flow", capacity, _pack_flow, most=1)
        self._dropped = 0
        self._busy = asyncio.Lock()

    def add_event(self, configuration: OpticConfiguration, event: bus_pb2.Event) -> None:
        """Have an event published with the next round."""
        self._count(self._events.kind, self._events.add(configuration, event))

    def add_observations(self, configuration: OpticConfiguration, observations: Sequence[Observation]) -> None:
        """Have observations published with the next round."""
        for observation in observations:
            self._count(self._observations.kind, self._observations.add(configuration, observation))

    def add_flow(self, configuration: OpticConfiguration, flow: Flow) -> None:
        """Have counts published with the next round."""
        self._count(self._flows.kind, self._flows.add(configuration, flow))

    async def run(self) -> None:
        """Declare the streams, then publish round after round, until cancelled."""
        await self._declare()
        while True:
            await self.flush()
            await asyncio.sleep(self._interval)

    async def flush(self) -> None:
        """Publish everything that waits; takes as long as the bus is away."""
        async with self._busy:
            for channel in (self._events, self._flows, self._observations):
                while (taken := channel.take()) is not None:
                    await self._publish(channel.kind, *taken)
            if self._dropped:
                log.warning("publisher.caught_up", dropped=self._dropped)
                self._dropped = 0

    async def _declare(self) -> None:
        for stream in STREAMS:
            while True:
                try:
                    await self._bus.declare(stream)
                    break
                except Unavailable:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _publish(self, kind: str, to: str, message: Message, trace: Context) -> None:
        token = trace_context.attach(trace)
        try:
            while True:
                try:
                    await self._bus.publish(to, message, message_id=message_id(message))
                    break
                except Unavailable:
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            trace_context.detach(token)
        self._metrics.published.labels(kind).inc()

    def _count(self, kind: str, dropped: int) -> None:
        if not dropped:
            return
        if not self._dropped:
            log.warning("publisher.dropping", kind=kind, bus_connected=self._bus.connected)
        self._dropped += dropped
        self._metrics.dropped.labels(kind).inc(dropped)


def subject(kind: str, optic: str) -> str:
    """The NATS subject of a kind of message of an optic.

    Raises:
        ValueError: the name is not that of an optic.
    """
    parts = OPTIC_NAME.fullmatch(optic)
    if parts is None:
        raise ValueError(f"{optic!r} is not the name of an optic")
    return f"argo.v1.{kind}.{parts[1]}.{parts[2]}"


def message_id(message: Message) -> str:
    """The same for the same content, so that a message which was stored but not acknowledged is not stored twice."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()


def _pack_events(configuration: OpticConfiguration, events: Sequence[bus_pb2.Event], dropped: int) -> Message:
    return bus_pb2.EventBatch(optic=configuration.optic, events=events, dropped=dropped)


def _pack_observations(configuration: OpticConfiguration, items: Sequence[Observation], dropped: int) -> Message:
    return pack_observations(configuration, items, dropped=dropped)


def _pack_flow(configuration: OpticConfiguration, flows: Sequence[Flow], _dropped: int) -> Message:
    # The contract has no field for dropped counts: the gap between two intervals says it.
    return pack_flow(configuration, flows[0])
