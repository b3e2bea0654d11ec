"""The road from the bus into the database while its servers are killed."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerting.assembly import Parts
from mesh.authority import CertificateAuthority
from mesh.bus import Bus, StreamSpec
from mesh.embedded import EmbeddedNats, EmbeddedPostgres, EmbeddedServer
from mesh.errors import Unavailable
from mesh.testing import embedded_nats, embedded_postgres
from tests.integration.alerting import support
from tests.integration.alerting.support import batch, event

EVENTS = StreamSpec("ARGO_EVENTS", ("argo.v1.event.>",))
COUNT = 60


@asynccontextmanager
async def consuming(parts: Parts, bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(parts.consumers.consume_events(bus))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stubbornly(call: Callable[[], object]) -> None:
    """Repeats a call until the bus has taken it, as a detector does."""
    while True:
        with contextlib.suppress(Unavailable):
            await call()  # type: ignore[misc]
            return
        await asyncio.sleep(0.05)


async def publish_all(bus: Bus, event_ids: list[str]) -> None:
    """Publishes one event after the other, each of another rule, so that it is an alert of its own."""
    start = datetime.now(UTC) - timedelta(hours=2)
    for index, event_id in enumerate(event_ids):
        message = batch(event(event_id=event_id, captured=start + timedelta(minutes=index), rule=f"rule-{index}"))
        await stubbornly(
            lambda message=message, event_id=event_id: bus.publish(  # type: ignore[misc]
                "argo.v1.event.alimonda.north", message, message_id=event_id
            )
        )
        await asyncio.sleep(0.02)


async def kill_twice(server: EmbeddedServer) -> None:
    for _ in range(2):
        await asyncio.sleep(0.5)
        server.kill()
        await asyncio.sleep(0.3)
        await server.start()


async def settled(bus_events: int, read: Callable[[], object]) -> None:
    """Waits until as many events are in the database; the test's timeout is the limit."""
    while True:
        with contextlib.suppress(Exception):
            if await read() >= bus_events:  # type: ignore[misc]
                return
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("victim", ["nats", "postgres", "both"])
async def test_nothing_is_lost_and_nothing_doubled_when_servers_are_killed(
    tmp_path: Path, authority: CertificateAuthority, victim: str
) -> None:
    event_ids = [str(uuid.uuid4()) for _ in range(COUNT)]
    async with (
        embedded_nats(tmp_path / "nats", authority) as nats,
        embedded_postgres(tmp_path / "postgres") as postgres,
        support.fresh_pool(postgres) as pool,
        Bus.connect(nats.url, name="detector", tls=authority.issue("service/detector")) as publisher,
        Bus.connect(nats.url, name="alerting", tls=authority.issue("service/alerting")) as bus,
    ):
        victims: dict[str, tuple[EmbeddedNats | EmbeddedPostgres, ...]] = {
            "nats": (nats,),
            "postgres": (postgres,),
            "both": (nats, postgres),
        }
        await publisher.wait_connected(10)
        await publisher.declare(EVENTS)
        parts = support.parts(pool, support.settings(authority))
        async with consuming(parts, bus):
            await asyncio.gather(publish_all(publisher, event_ids), *(kill_twice(server) for server in victims[victim]))
            await settled(COUNT, lambda: support.count(pool, "events"))

        stored = await pool.fetch("SELECT event_id::text, alert_id FROM events")
        assert sorted(row["event_id"] for row in stored) == sorted(event_ids)
        alerts = await pool.fetch("SELECT alert_id, event_count FROM alerts")
        assert sorted(row["alert_id"] for row in alerts) == sorted(f"a-{event_id}" for event_id in event_ids)
        assert {row["event_count"] for row in alerts} == {1}


async def test_an_event_waits_in_the_stream_until_the_database_is_back(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with (
        embedded_nats(tmp_path / "nats", authority) as nats,
        embedded_postgres(tmp_path / "postgres") as postgres,
        support.fresh_pool(postgres) as pool,
        Bus.connect(nats.url, name="alerting", tls=authority.issue("service/alerting")) as bus,
    ):
        await bus.wait_connected(10)
        await bus.declare(EVENTS)
        postgres.kill()
        parts = support.parts(pool, support.settings(authority))
        async with consuming(parts, bus):
            await bus.publish("argo.v1.event.alimonda.north", batch(event()), message_id="one")
            # It was tried, and not acknowledged, once the message comes again.
            while not parts.metrics.redeliveries.labels("ARGO_EVENTS")._value.get():
                await asyncio.sleep(0.05)
            await postgres.start()
            await settled(1, lambda: support.count(pool, "events"))

        assert await support.count(pool, "alerts") == 1
