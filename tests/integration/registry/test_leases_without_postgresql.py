"""Leases while PostgreSQL is away, killed under a registry that runs on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from argo.registry.v1 import site_pb2
from mesh.embedded import EmbeddedPostgres
from mesh.errors import StartupError
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Registry, refusal_of, running_registry
from tests.integration.registry.gateways import gateway
from tests.unit.registry import lawful


@contextlib.asynccontextmanager
async def killable(folder: Path, **changes: Any) -> AsyncIterator[tuple[EmbeddedPostgres, Registry, Administrator]]:
    async with (
        EmbeddedPostgres(folder / "postgres") as server,
        running_registry(server.dsn, folder, **changes) as registry,
        registry.channel("administrator/mrossi") as channel,
    ):
        yield server, registry, Administrator(channel)


async def restarted(server: EmbeddedPostgres) -> None:
    """As its supervisor would: again and again, since the old backends take a moment to end."""
    while True:
        try:
            return await server.start()
        except StartupError:
            await asyncio.sleep(0.2)


async def test_leases_go_on_through_a_crash_of_postgresql(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        await administrator.build(devices=2)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
            server.kill()
            await restarted(server)
            beats = len(gw.renewals)
            await gw.until(lambda: len(gw.renewals) > beats + 3)
            # And the registry follows changes again.
            async with asyncio.timeout(20):
                while True:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, display_name="x"))
                        break
            await gw.until(lambda: gw.held["devices/palo-12"].optics[0].display_name.endswith(" / x"))

            assert gw.error is None


async def test_without_postgresql_leases_run_from_memory(tmp_path: Path) -> None:
    # So long that none ends before the gateway has come back, however slow the machine is.
    async with killable(tmp_path, lease_seconds=600.0) as (server, registry, administrator):
        await administrator.build(devices=2)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
            server.kill()
            refusal = await refusal_of(administrator.UpdateSite(site=site_pb2.Site(name="sites/alimonda", lot="9")))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            beats = len(gw.renewals)
            await gw.until(lambda: len(gw.renewals) > beats)
            assert gw.renewals[-1].devices
            async with gateway(registry, "gw-1") as again:
                await again.until(lambda: len(again.held) == 2)
            async with gateway(registry, "gw-new") as stranger:
                await stranger.until(lambda: stranger.error)
                assert stranger.error is not None
                assert stranger.error.code == grpc.StatusCode.UNAVAILABLE


async def test_without_postgresql_leases_end_when_they_are_over(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        await administrator.build(devices=2)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
            server.kill()
            await gw.until(lambda: gw.error or len(gw.withdrawals) == 2)


async def test_without_postgresql_a_placement_still_ends(tmp_path: Path) -> None:
    async with killable(tmp_path) as (server, registry, administrator):
        start = registry.clock.now
        await administrator.CreateSite(site_id="alimonda", site=lawful.site())
        await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
        await administrator.CreateOptic(parent="devices/carro-1", optic_id="nord", optic=lawful.optic())
        stay = lawful.deployment(start, start + timedelta(hours=1))
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id="d", deployment=stay)
        async with gateway(registry, "gw-1") as gw:
            await gw.until(lambda: gw.held)
            server.kill()
            registry.clock.now = start + timedelta(hours=1)
            await gw.until(lambda: gw.withdrawals)

            assert gw.withdrawals == [("devices/carro-1", ["PLACEMENT_ENDED"])]
