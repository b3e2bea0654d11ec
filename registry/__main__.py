"""Starts the registry: ``python -m registry``, or ``python -m registry migrate --phase pre|post``."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

import structlog

from mesh import audit, lifecycle, postgres
from mesh.audit.anchorage import keep_checkpoints
from mesh.http import serve_web
from mesh.postgres import Phase
from registry import sql
from registry.assembly import assemble
from registry.public.assembly import public_register
from registry.settings import RegistrySettings

log = structlog.get_logger()


def _now() -> datetime:
    return datetime.now(UTC)


async def compose(app: lifecycle.Application[RegistrySettings]) -> None:
    """Opens the database, warms up with one sweep, and serves all services."""
    settings = app.settings
    pool = await app.enter(postgres.open_pool(settings.postgres_dsn, schema="registry"))
    if settings.migrate_on_start:
        await sql.migrate(pool, "pre")
        await sql.migrate(pool, "post")
    await audit.report(pool)
    registry = assemble(pool, settings, app.metrics, clock=_now, monotonic=time.monotonic)
    registry.serve(app.grpc)
    app.on_drain("watches", registry.watch.drain)
    app.on_drain("leases", registry.desk.drain)
    await registry.sweep.once()
    keep_checkpoints(app, settings, lambda: audit.AuditLog(pool), "registry")
    app.spawn("sweep", registry.sweep.run())
    app.spawn("listen", registry.sweep.listen())
    register = public_register(pool, settings, app.metrics, clock=_now)
    log.info("register.opened", address=await app.enter(serve_web(register.site, settings.web_listen)))
    app.spawn("register", register.publisher.run())


async def migrate(settings: RegistrySettings, arguments: list[str]) -> int:
    """The command ``migrate``."""
    parser = argparse.ArgumentParser(prog="registry migrate")
    parser.add_argument("--phase", choices=("pre", "post"), required=True)
    phase: Phase = parser.parse_args(arguments).phase
    async with postgres.open_pool(settings.postgres_dsn, schema="registry") as pool:
        await sql.migrate(pool, phase)
    return 0


def main() -> int:
    """The program of the service."""
    return lifecycle.main("registry", RegistrySettings, compose, commands={"migrate": migrate})


if __name__ == "__main__":
    sys.exit(main())
