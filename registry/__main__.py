"""Starts the registry: ``python -m registry``, or ``python -m registry migrate --phase pre|post``."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from argo.registry.v1 import lease_service_pb2_grpc, registry_service_pb2_grpc
from mesh import lifecycle, postgres
from mesh.audit import AuditLog
from mesh.postgres import Phase
from registry import lease_service, service, sql
from registry.fleet import Fleet
from registry.lease_service import LeaseServicer
from registry.lease_store import LeaseStore
from registry.leases import LeaseDesk
from registry.metrics import RegistryMetrics
from registry.permissions import POLICY
from registry.service import RegistryServicer
from registry.settings import RegistrySettings
from registry.store import RecordStore
from registry.sweep import Sweep
from registry.watching import OpticWatch


def _now() -> datetime:
    return datetime.now(UTC)


async def compose(app: lifecycle.Application[RegistrySettings]) -> None:
    """Opens the database, warms up with one sweep, and serves both services."""
    settings = app.settings
    pool = await app.enter(postgres.open_pool(settings.postgres_dsn, schema="registry"))
    if settings.migrate_on_start:
        await sql.migrate(pool, "pre")
        await sql.migrate(pool, "post")
    fleet, networks = Fleet(), settings.networks
    watch = OpticWatch(
        pool,
        fleet,
        buffer=settings.watch_buffer,
        bookmark_seconds=settings.bookmark_seconds,
        resume_changes=settings.resume_changes,
    )
    leases = LeaseStore(pool, duration=settings.lease_duration)
    desk = LeaseDesk(leases, fleet, networks, clock=_now, monotonic=time.monotonic)
    metrics = RegistryMetrics(app.metrics)
    sweep = Sweep(pool, desk, watch, networks, metrics, clock=_now, period_seconds=settings.sweep_seconds)
    records = RegistryServicer(RecordStore(pool, AuditLog(pool)), watch, networks, _now)
    app.grpc.add(registry_service_pb2_grpc.add_RegistryServiceServicer_to_server, records, service.FULL_NAME)
    app.grpc.add(
        lease_service_pb2_grpc.add_LeaseServiceServicer_to_server, LeaseServicer(desk), lease_service.FULL_NAME
    )
    app.grpc.allow(POLICY)
    app.on_drain("watches", watch.drain)
    app.on_drain("leases", desk.drain)
    await sweep.once()
    app.spawn("sweep", sweep.run())
    app.spawn("listen", sweep.listen())


async def migrate(settings: RegistrySettings, arguments: list[str]) -> int:
    """The command ``migrate``."""
    parser = argparse.ArgumentParser(prog="registry migrate")
    parser.add_argument("--phase", choices=("pre", "post"), required=True)
    phase: Phase = parser.parse_args(arguments).phase
    async with postgres.open_pool(settings.postgres_dsn, schema="registry") as pool:
        await sql.migrate(pool, phase)
    return 0


def main() -> int:
    """The program ``argo-registry``."""
    return lifecycle.main("registry", RegistrySettings, compose, commands={"migrate": migrate})


if __name__ == "__main__":
    sys.exit(main())
