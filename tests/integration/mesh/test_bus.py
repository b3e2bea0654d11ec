from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import nats as nats_client
import prometheus_client
import pytest
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from mesh.bus import Bus, Delivery, StreamSpec
from mesh.errors import Unavailable
from mesh.tls import client_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mesh.authority import CertificateAuthority
    from mesh.embedded import EmbeddedNats

STREAM = StreamSpec("ARGO_TEST", ("argo.v1.test.>",))


@pytest.fixture
def metrics() -> prometheus_client.CollectorRegistry:
    return prometheus_client.CollectorRegistry()


@pytest.fixture
async def bus(
    nats: EmbeddedNats, authority: CertificateAuthority, metrics: prometheus_client.CollectorRegistry
) -> AsyncIterator[Bus]:
    async with Bus.connect(nats.url, name="test", tls=authority.issue("service/detector"), metrics=metrics) as bus:
        await bus.wait_connected(20)
        yield bus


@asynccontextmanager
async def _consuming(
    bus: Bus, handle: Callable[[StringValue, Delivery], Awaitable[None]], *, concurrent: bool = False
) -> AsyncIterator[None]:
    consume = bus.consume(
        STREAM.name,
        durable="alerting",
        subject="argo.v1.test.>",
        message_type=StringValue,
        handle=handle,
        concurrent=concurrent,
    )
    task = asyncio.create_task(consume)
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _publish(bus: Bus, number: int) -> None:
    """Publishes until the bus has it, as a publisher with a buffer does."""
    while True:
        try:
            message = StringValue(value=str(number))
            await bus.publish("argo.v1.test.camera", message, message_id=f"message-{number}")
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            return


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_kill_and_restart_of_the_server_loses_and_doubles_nothing(bus: Bus, nats: EmbeddedNats) -> None:
    await bus.declare(STREAM)
    handled: list[int] = []

    async def handle(message: StringValue, _delivery: Delivery) -> None:
        await asyncio.sleep(0.001)
        handled.append(int(message.value))

    async def publish_all() -> None:
        for number in range(600):
            await _publish(bus, number)

    async with _consuming(bus, handle):
        publishing = asyncio.create_task(publish_all())
        for mark in (100, 300):
            await _until(lambda mark=mark: len(handled) > mark)  # type: ignore[misc]
            nats.kill()
            await _until(lambda: not bus.connected)
            await nats.start()
        await publishing
        await _until(lambda: len(set(handled)) == 600)

    assert sorted(handled) == list(range(600))


async def test_only_changes_of_state_are_logged(bus: Bus, nats: EmbeddedNats) -> None:
    with structlog.testing.capture_logs() as logs:
        nats.kill()
        await _until(lambda: not bus.connected)
        await asyncio.sleep(2)  # several attempts to connect
        with pytest.raises(Unavailable):
            await bus.publish("argo.v1.test.camera", StringValue(), message_id="x")
        with pytest.raises(Unavailable):
            await bus.declare(STREAM)
        await nats.start()
        await bus.wait_connected(20)
        await _until(lambda: len(logs) >= 2)

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("bus.disconnected", "warning"),
        ("bus.reconnected", "info"),
    ]


async def test_consumer_waits_for_server_and_stream(nats: EmbeddedNats, authority: CertificateAuthority) -> None:
    await nats.stop()
    handled: list[str] = []

    async def handle(message: StringValue, _delivery: Delivery) -> None:
        handled.append(message.value)

    with structlog.testing.capture_logs() as logs:
        async with Bus.connect(nats.url, name="test", tls=authority.issue("service/alerting")) as bus:
            with pytest.raises(Unavailable):
                await bus.wait_connected(0.1)
            async with _consuming(bus, handle):
                await _until(lambda: any(entry["event"] == "bus.unreachable" for entry in logs))
                await nats.start()
                await _until(lambda: any(entry["event"] == "bus.stream_awaited" for entry in logs))
                await bus.declare(STREAM)
                await _publish(bus, 1)
                await _until(lambda: handled == ["1"])

    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == [
        "bus.unreachable",
        "bus.connected",
        "bus.stream_awaited",
        "bus.stream_declared",
    ]


async def test_a_message_comes_again_until_it_was_handled(bus: Bus) -> None:
    await bus.declare(STREAM)
    attempts: list[tuple[str, int]] = []

    async def handle(message: StringValue, delivery: Delivery) -> None:
        attempts.append((message.value, delivery.attempt))
        if delivery.attempt == 1:
            raise Unavailable("the database is away", reason="POSTGRES_UNAVAILABLE")
        if delivery.attempt == 2:
            raise RuntimeError("a bug")

    with structlog.testing.capture_logs() as logs:
        async with _consuming(bus, handle):
            await _publish(bus, 1)
            await _until(lambda: len(attempts) == 3)

    assert attempts == [("1", 1), ("1", 2), ("1", 3)]
    assert all(entry["log_level"] == "debug" for entry in logs)


async def test_what_was_fetched_together_is_handled_together_and_what_fails_comes_again_alone(bus: Bus) -> None:
    await bus.declare(STREAM)
    for number in range(1, 6):
        await _publish(bus, number)
    begun: list[str] = []
    all_there = asyncio.Event()

    async def handle(message: StringValue, delivery: Delivery) -> None:
        begun.append(message.value)
        if len(begun) == 5:
            all_there.set()
        await all_there.wait()
        if message.value == "3" and delivery.attempt == 1:
            raise Unavailable("the database is away", reason="POSTGRES_UNAVAILABLE")

    async with _consuming(bus, handle, concurrent=True):
        await _until(lambda: len(begun) == 6)

    assert sorted(begun) == ["1", "2", "3", "3", "4", "5"]


async def test_a_handler_with_a_bug_is_logged(bus: Bus) -> None:
    await bus.declare(STREAM)
    attempts: list[int] = []

    async def handle(_message: StringValue, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise RuntimeError("a bug")

    with structlog.testing.capture_logs() as logs:
        async with _consuming(bus, handle):
            await _publish(bus, 1)
            await _until(lambda: len(attempts) == 3)

    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["message.failed"]


async def test_an_unreadable_message_is_given_up_and_counted(
    bus: Bus, nats: EmbeddedNats, authority: CertificateAuthority, metrics: prometheus_client.CollectorRegistry
) -> None:
    await bus.declare(STREAM)
    handled: list[str] = []

    async def handle(message: StringValue, _delivery: Delivery) -> None:
        handled.append(message.value)

    context = client_context(authority.issue("system/other"))
    other = await nats_client.connect(nats.url, tls=context, tls_hostname="nats")
    await other.jetstream().publish("argo.v1.test.camera", b"\xff\xff\xff")
    await other.close()
    async with _consuming(bus, handle):
        await _publish(bus, 2)
        await _until(lambda: handled == ["2"])

    labels = {"stream": STREAM.name, "outcome": "unreadable"}
    assert metrics.get_sample_value("argo_bus_handled_total", labels) == 1


async def test_the_same_message_id_is_stored_once(bus: Bus) -> None:
    await bus.declare(STREAM)
    deliveries: list[Delivery] = []

    async def handle(_message: StringValue, delivery: Delivery) -> None:
        deliveries.append(delivery)

    async with _consuming(bus, handle):
        for number in (1, 1, 2):
            await _publish(bus, number)
        await _until(lambda: len(deliveries) >= 2)

    assert [(delivery.message_id, delivery.sequence, delivery.attempt) for delivery in deliveries] == [
        ("message-1", 1, 1),
        ("message-2", 2, 1),
    ]


async def test_the_trace_goes_through_the_message(bus: Bus) -> None:
    await bus.declare(STREAM)
    seen: list[Any] = []

    async def handle(_message: StringValue, _delivery: Delivery) -> None:
        seen.append(trace.get_current_span().get_span_context().trace_id)

    with TracerProvider().get_tracer("test").start_as_current_span("publish") as span:
        await _publish(bus, 1)
    async with _consuming(bus, handle):
        await _until(lambda: bool(seen))

    assert seen == [span.get_span_context().trace_id]


async def test_declaring_again_changes_the_stream(
    bus: Bus, nats: EmbeddedNats, authority: CertificateAuthority
) -> None:
    await bus.declare(STREAM)
    await bus.declare(StreamSpec(STREAM.name, STREAM.subjects, max_age=timedelta(days=1)))

    client = await nats_client.connect(
        nats.url, tls=client_context(authority.issue("system/other")), tls_hostname="nats"
    )
    info = await client.jetstream().stream_info(STREAM.name)
    await client.close()
    assert info.config.max_age == timedelta(days=1).total_seconds()


async def test_a_client_without_a_certificate_is_refused(nats: EmbeddedNats, tmp_path: Any) -> None:
    async with Bus.connect(nats.url.replace("tls://", "nats://"), name="stranger") as bus:
        with pytest.raises(Unavailable):
            await bus.wait_connected(1)


def test_nothing_is_kept_longer_than_seven_days() -> None:
    with pytest.raises(ValueError, match="seven days"):
        StreamSpec("ARGO_TEST", ("argo.v1.test.>",), max_age=timedelta(days=7, seconds=1))


async def test_a_bus_can_be_given_up_at_any_moment(authority: CertificateAuthority) -> None:
    tls = authority.issue("service/detector")
    for turn in range(150):
        # Where nobody listens. Among these moments are some in which nats-py forgets that it was cancelled.
        async with Bus.connect("tls://127.0.0.1:9", name="test", tls=tls):
            await asyncio.sleep(turn * 0.0002)
