"""The public register when PostgreSQL goes away and comes back."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import prometheus_client
import structlog

from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.http import serve_web
from mesh.postgres import Pool
from registry.public.publishing import STALE_AFTER, Metrics, Publisher
from registry.public.web import RegisterSite
from tests.contract.registry.support import Clock, migrated_pool
from tests.integration.registry.test_process import environment, served

SITE = (
    "INSERT INTO sites (name, display_name, location_latitude, location_longitude) VALUES ('sites/a', $1, 45.07, 7.69)"
)


async def test_the_last_edition_is_served_and_says_its_age(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    clock, metrics = Clock(), prometheus_client.CollectorRegistry()
    try:
        async with migrated_pool(server.dsn) as pool:
            publisher = Publisher(pool, ZoneInfo("Europe/Rome"), Metrics(metrics), clock=clock, period_seconds=60)
            site = RegisterSite(publisher, publisher._metrics).application()
            async with (
                serve_web(site, "127.0.0.1:0", grace_seconds=0.1) as address,
                aiohttp.ClientSession(f"http://{address}") as session,
            ):
                with structlog.testing.capture_logs() as logs:
                    await _go_through_an_outage(server, publisher, session, clock, pool)
    finally:
        await server.stop()

    assert [entry["event"] for entry in logs if entry["event"].startswith("register.")] == [
        "register.published",
        "register.stale",
        "register.published",
    ]
    assert metrics.get_sample_value("argo_registry_register_age_seconds") == 0


async def _go_through_an_outage(
    server: EmbeddedPostgres, publisher: Publisher, session: aiohttp.ClientSession, clock: Clock, pool: Pool
) -> None:
    await pool.execute(SITE, "Giardini Alimonda")
    await publisher.look()
    begin, outage = clock.now, clock.now + timedelta(seconds=5)
    clock.now = outage
    await publisher.look()

    await server.stop()
    clock.now = outage + STALE_AFTER / 2
    await publisher.look()
    async with session.get("/register.json") as response:
        # A change of the primary is over by then: nothing to tell yet.
        assert response.headers["Age"] == "30"
        assert (await response.json())["stale_since"] is None

    clock.now = outage + timedelta(hours=3)
    await publisher.look()
    async with session.get("/register.json") as response:
        stale = await response.json()
        assert response.status == 200
        assert response.headers["Age"] == str(3 * 3600)
        assert stale["stale_since"] == f"{outage:%Y-%m-%dT%H:%M:%SZ}"
        assert stale["generated_time"] == f"{begin:%Y-%m-%dT%H:%M:%SZ}"
        assert stale["sites"][0]["display_name"] == "Giardini Alimonda"
    async with session.get("/en") as response:
        assert "cannot be read at the moment" in await response.text()

    await server.start()
    await publisher.look()
    async with session.get("/register.json") as response:
        assert response.headers["Age"] == "0"
        assert (await response.json())["stale_since"] is None


async def test_the_process_serves_it(tmp_path: Path, dsn: str) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    env = environment(authority, dsn, migrate_on_start="true", register_seconds="0.1")
    register: dict[str, Any] = {}
    async with served(env) as (_process, _ready, lines):
        opened = next(json.loads(line) for line in lines if '"register.opened"' in line)
        async with aiohttp.ClientSession(f"http://{opened['address']}") as session:
            while not register:
                async with session.get("/register.json") as response:
                    register = await response.json() if response.status == 200 else {}
                await asyncio.sleep(0.05)

    assert [controller["name"] for controller in register["controllers"]] == ["controllers/city"]
    assert register["cameras"] == []
