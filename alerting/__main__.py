"""Composition root of alerting."""

from __future__ import annotations

import sys

import structlog

from alerting import migrations
from alerting.assembly import Parts, utc_now
from alerting.clients import GatewayClient, HoldsClient, Pictures, RegistryClient
from alerting.console.application import console
from alerting.console.board import Board
from alerting.flow_export_command import export_flows_command
from alerting.metrics import Metrics
from alerting.settings import AlertingSettings
from mesh import audit, lifecycle
from mesh.audit.anchorage import keep_checkpoints
from mesh.bus import Bus
from mesh.http import serve_web
from mesh.postgres import Pool, open_pool
from mesh.rpc.channel import open_channel

log = structlog.get_logger()

COMMANDS = {"migrate": migrations.migrate_command, "export-flows": export_flows_command}


async def compose(application: lifecycle.Application[AlertingSettings]) -> None:
    """Puts alerting together."""
    settings = application.settings
    pool = await application.enter(open_pool(settings.postgres_dsn, schema=migrations.SCHEMA, max_size=10))
    await _migrated(pool, at_once=settings.migrate_on_start)
    tls = settings.tls if settings.nats_url.startswith("tls://") else None
    bus = await application.enter(Bus.connect(settings.nats_url, name="alerting", tls=tls, metrics=application.metrics))
    channel = await application.enter(open_channel(settings.registry, settings, peer="service/registry"))
    registry = RegistryClient(channel)
    anonymizer = open_channel(settings.anonymizer, settings, peer="service/anonymizer")
    pictures = Pictures.over(await application.enter(anonymizer))
    reads = (HoldsClient(channel).read, registry.read_atlas, pictures.recordings.recorded)
    parts = Parts(settings, pool, Metrics(application.metrics), *reads)
    parts.register(application.grpc)
    await open_console(application, parts, registry, pictures)

    application.spawn("changes", parts.signal.listen())
    application.spawn("events", parts.consumers.consume_events(bus))
    application.spawn("observations", parts.consumers.consume_observations(bus))
    application.spawn("health", parts.consumers.consume_health(bus))
    application.spawn("postman", parts.alarms.postman().run(parts.signal))
    application.spawn("alarm-load", parts.alarms.quality.run(settings.erasure_seconds))
    application.spawn("timekeeper", parts.alarms.timekeeper.run(settings.due_seconds))
    for name, task in parts.flows.tasks(bus, registry).items():
        application.spawn(name, task)
    application.spawn("crowds", parts.crowds.watch.run())
    application.spawn("upkeep", parts.upkeep.run(settings.erasure_seconds))
    application.spawn("break-glass", parts.oversight.break_glass.remind(settings.erasure_seconds))
    keep_checkpoints(application, settings, lambda: parts.log, migrations.SCHEMA)
    application.on_drain("watches", parts.signal.close)


async def _migrated(pool: Pool, *, at_once: bool) -> None:
    """Makes sure that the database is as this version needs it."""
    if at_once:
        await migrations.migrate(pool, "pre")
        await migrations.migrate(pool, "post")
    await migrations.ensure_migrated(pool)
    await audit.report(pool)


async def open_console(
    application: lifecycle.Application[AlertingSettings], parts: Parts, registry: RegistryClient, pictures: Pictures
) -> None:
    """Serves the console, and follows what it shows."""
    settings = application.settings
    gateway = await application.enter(open_channel(settings.camera_gateway, settings, peer="service/camera-gateway"))
    follows = (parts.coverage, utc_now, parts.roster, parts.alarms.neighbourhood)
    board = Board(registry, GatewayClient(gateway), *follows)
    web = console(settings, parts, board, pictures, utc_now)
    address = await application.enter(serve_web(web, settings.web_listen))
    log.info("console.opened", address=address, sign_in=settings.console_token is not None)
    application.spawn("board-registry", board.follow_registry())
    application.spawn("board-gateway", board.follow_gateway())


def main() -> int:
    """Runs the service; the exit status."""
    return lifecycle.main("alerting", AlertingSettings, compose, commands=COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
