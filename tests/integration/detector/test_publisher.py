from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import prometheus_client

from argo.detector.v1 import bus_pb2
from detector.domain.configuration import OpticConfiguration
from detector.domain.detections import ObjectClass
from detector.domain.flows import Flow, LineCount
from detector.domain.observations import Observation, PathPoint
from detector.metrics import DetectorMetrics
from detector.publisher import STREAMS, Publisher
from mesh.bus import Bus
from mesh.settings import ServiceSettings
from mesh.testing import embedded_nats, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from google.protobuf.message import Message

    from mesh.authority import CertificateAuthority
    from mesh.bus import Delivery
    from mesh.embedded import EmbeddedNats

OPTIC = OpticConfiguration("devices/camera-1/optics/front", site="sites/square")


@asynccontextmanager
async def publishing(nats: EmbeddedNats, authority: CertificateAuthority, capacity: int) -> AsyncIterator[Publisher]:
    settings = settings_of(authority, "service/detector", ServiceSettings)
    registry = prometheus_client.CollectorRegistry()
    async with Bus.connect(nats.url, name="detector", tls=settings.tls) as bus:
        publisher = Publisher(bus, interval=0.02, capacity=capacity, metrics=DetectorMetrics(registry))
        running = asyncio.create_task(publisher.run())
        try:
            yield publisher
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


M = TypeVar("M", bound="Message")


@dataclass
class Subscription(Generic[M]):
    """What a stream keeps, as it arrives, and the consumer that brings it."""

    consumer: asyncio.Task[None]
    messages: asyncio.Queue[tuple[M, Delivery]]

    async def get(self) -> tuple[M, Delivery]:
        return await self.messages.get()


async def received(nats: EmbeddedNats, authority: CertificateAuthority, stream: str, kind: type[M]) -> Subscription[M]:
    """A subscription that fills with what the stream keeps, until it is stopped."""
    settings = settings_of(authority, "service/alerting", ServiceSettings)
    found: asyncio.Queue[tuple[M, Delivery]] = asyncio.Queue()

    async def handle(message: M, delivery: Delivery) -> None:
        await found.put((message, delivery))

    async def pump() -> None:
        async with Bus.connect(nats.url, name="alerting", tls=settings.tls) as bus:
            await bus.consume(stream, durable="test", subject=">", message_type=kind, handle=handle)

    return Subscription(asyncio.create_task(pump()), found)


def event(number: int) -> bus_pb2.Event:
    return bus_pb2.Event(event_id=f"event-{number}", optic=OPTIC.optic)


async def collect(subscription: Subscription[bus_pb2.EventBatch], events: int) -> list[bus_pb2.EventBatch]:
    batches: list[bus_pb2.EventBatch] = []
    async with asyncio.timeout(30):
        while sum(len(batch.events) for batch in batches) < events:
            batches.append((await subscription.get())[0])
    return batches


async def stop(subscription: Subscription[M]) -> None:
    subscription.consumer.cancel()
    await asyncio.gather(subscription.consumer, return_exceptions=True)


def test_nothing_is_kept_longer_than_seven_days() -> None:
    assert {stream.name for stream in STREAMS} == {"ARGO_EVENTS", "ARGO_OBSERVATIONS", "ARGO_FLOWS"}
    assert all(stream.max_age.days <= 7 for stream in STREAMS)


async def test_events_of_one_round_share_a_message(tmp_path: Path, authority: CertificateAuthority) -> None:
    async with embedded_nats(tmp_path / "nats", authority) as nats:
        events = await received(nats, authority, "ARGO_EVENTS", bus_pb2.EventBatch)
        async with publishing(nats, authority, 100) as publisher:
            for number in range(10):
                publisher.add_event(OPTIC, event(number))
            batches = await collect(events, 10)
        await stop(events)

    assert [item.event_id for batch in batches for item in batch.events] == [f"event-{n}" for n in range(10)]
    assert len(batches) == 1
    assert batches[0].optic == OPTIC.optic


async def test_what_waits_while_the_bus_is_away_comes_later_and_what_was_dropped_is_said(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with embedded_nats(tmp_path / "nats", authority) as nats:
        events = await received(nats, authority, "ARGO_EVENTS", bus_pb2.EventBatch)
        async with publishing(nats, authority, 5) as publisher:
            publisher.add_event(OPTIC, event(0))
            await collect(events, 1)
            await nats.stop()
            publisher.add_event(OPTIC, event(1))
            # The first event is in flight and comes again; of the next eight, the outbox keeps the newest five.
            await asyncio.sleep(0.3)
            for number in range(2, 10):
                publisher.add_event(OPTIC, event(number))
            await nats.start()
            batches = await collect(events, 6)
        await stop(events)

    identities = [item.event_id for batch in batches for item in batch.events]
    assert identities == [f"event-{n}" for n in (1, 5, 6, 7, 8, 9)]
    assert sum(batch.dropped for batch in batches) == 3


async def test_a_message_that_is_published_again_is_stored_once(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with embedded_nats(tmp_path / "nats", authority) as nats:
        events = await received(nats, authority, "ARGO_EVENTS", bus_pb2.EventBatch)
        async with publishing(nats, authority, 5) as publisher:
            for _ in range(2):
                publisher.add_event(OPTIC, event(1))
                await publisher.flush()
            publisher.add_event(OPTIC, event(2))
            batches = await collect(events, 2)
        await stop(events)

    assert [[item.event_id for item in batch.events] for batch in batches] == [["event-1"], ["event-2"]]


async def test_observations_and_counts_have_their_own_subjects(tmp_path: Path, authority: CertificateAuthority) -> None:
    track = Observation(5, ObjectClass.PERSON, 1.0, 2.5, True, (PathPoint(1.0, (0.25, 0.5)),), ("z",), ("l",))
    flow = Flow(0.0, 10.0, 9.0, (LineCount("l", ObjectClass.CAR, 2, 1),), ())
    async with embedded_nats(tmp_path / "nats", authority) as nats:
        tracks = await received(nats, authority, "ARGO_OBSERVATIONS", bus_pb2.ObservationBatch)
        flows = await received(nats, authority, "ARGO_FLOWS", bus_pb2.FlowBatch)
        async with publishing(nats, authority, 5) as publisher:
            publisher.add_observations(OPTIC, [track])
            publisher.add_flow(OPTIC, flow)
            async with asyncio.timeout(30):
                (batch, batch_delivery), (counts, counts_delivery) = await tracks.get(), await flows.get()
        await stop(tracks)
        await stop(flows)

    assert batch_delivery.subject == "argo.v1.observation.camera-1.front"
    assert counts_delivery.subject == "argo.v1.flow.camera-1.front"
    assert batch.observations[0].track == 5
    assert batch.observations[0].finished
    assert (counts.lines[0].left_to_right, counts.lines[0].right_to_left) == (2, 1)
    assert counts.analysed.seconds == 9
