"""Counts while replicas and servers are killed: no interval is lost, and none is counted twice."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import pydantic

from mesh.authority import CertificateAuthority
from mesh.bus import Bus
from mesh.embedded import EmbeddedServer
from mesh.postgres import Pool, open_pool
from mesh.testing import embedded_nats, embedded_postgres
from tests.integration.alerting import support
from tests.integration.alerting.flow_support import (
    GATE,
    SQUARE,
    TEN_SECONDS,
    crossed,
    flow_batch,
    present,
    recent,
)
from tests.integration.alerting.support import OPTIC
from tests.integration.alerting.test_crashes import stubbornly
from tests.integration.alerting.test_flow_ingest import FLOWS
from tests.integration.alerting.test_process import environment, running

REPORTS = 90
START = recent(120)


async def publish_all(bus: Bus) -> None:
    """Ten seconds after ten seconds, each twice, as a detector sends it that heard nothing of the first time."""
    for number in range(REPORTS):
        batch = flow_batch(START + number * TEN_SECONDS, crossed(number % 3 + 1, 1), zones=(present(2.0),))
        batch.turns.add(from_line=GATE, to_line=f"{OPTIC}/lines/exit", object_class=1, count=1)
        batch.near_misses.add(zone=SQUARE, time_to_collision=1, post_encroachment=2)
        for copy in range(2):
            await stubbornly(
                lambda batch=batch, number=number, copy=copy: bus.publish(  # type: ignore[misc]
                    "argo.v1.flow.alimonda.north", batch, message_id=f"{number}/{copy}"
                )
            )
        await asyncio.sleep(0.03)


async def counted(pool: Pool, wanted: int) -> None:
    """Waits until so many reports were counted; the test's timeout is the limit."""
    while True:
        with contextlib.suppress(Exception):
            if await support.count(pool, "flow_reports") >= wanted:
                return
        await asyncio.sleep(0.05)


async def again(server: EmbeddedServer) -> None:
    server.kill()
    await server.start()


async def test_two_replicas_and_their_servers_are_killed_and_every_interval_is_counted_once(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with (
        embedded_nats(tmp_path / "nats", authority) as nats,
        embedded_postgres(tmp_path / "postgres") as postgres,
        open_pool(pydantic.SecretStr(await postgres.ensure_service("alerting")), schema="alerting") as pool,
        Bus.connect(nats.url, name="detector", tls=authority.issue("service/detector")) as publisher,
    ):
        await publisher.wait_connected(10)
        await publisher.declare(FLOWS)
        environ = environment(
            authority,
            postgres_dsn=await postgres.ensure_service("alerting"),
            nats_url=nats.url,
            migrate_on_start="true",
        )
        async with running(environ) as steady:
            await steady.until("service.ready")
            publishing = asyncio.create_task(publish_all(publisher))
            for step, victim in enumerate((postgres, nats)):
                async with running(environ) as doomed:
                    await doomed.until("service.ready")
                    await counted(pool, step * 30 + 10)
                await again(victim)
            await publishing
            await counted(pool, REPORTS)
            await _drained(publisher)

        assert await support.count(pool, "flow_reports") == REPORTS
        crossings = await pool.fetchrow(
            "SELECT sum(left_to_right) AS there, sum(right_to_left) AS back FROM flow_minutes WHERE place = $1", GATE
        )
        assert tuple(crossings) == (sum(number % 3 + 1 for number in range(REPORTS)), REPORTS)
        assert await pool.fetchval("SELECT sum(present_seconds) FROM flow_minutes WHERE place = $1", SQUARE) == (
            2.0 * 10 * REPORTS
        )
        assert await pool.fetchval("SELECT sum(turned) FROM flow_turns") == REPORTS
        missed = await pool.fetchrow("SELECT sum(time_to_collision), sum(post_encroachment) FROM flow_near_misses")
        assert tuple(missed) == (REPORTS, 2 * REPORTS)
        minutes = await pool.fetch("SELECT minute, analysed_seconds FROM flow_coverage ORDER BY minute")
        assert [tuple(row) for row in minutes] == [
            (START + timedelta(minutes=number), 60.0) for number in range(REPORTS // 6)
        ]


async def _drained(bus: Bus) -> None:
    """Waits until the copies have come, too, and were settled."""
    while True:
        consumer = await bus._connected_client().jetstream().consumer_info("ARGO_FLOWS", "alerting")
        if not consumer.num_pending and not consumer.num_ack_pending:
            return
        await asyncio.sleep(0.05)
