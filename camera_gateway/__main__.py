"""Composition root of the camera gateway."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import av.logging
import cv2
import structlog

from camera_gateway.clients import AnalysisClient, RegistryClient
from camera_gateway.credentials import CredentialStore
from camera_gateway.fleet import Fleet
from camera_gateway.governor import Governor
from camera_gateway.health import HealthReporter
from camera_gateway.leases import LeaseHolder
from camera_gateway.media import MediaService
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.service import GatewayService, register
from camera_gateway.settings import GatewaySettings
from camera_gateway.setup import Publishers, SessionSetup
from camera_gateway.whip import WhipEndpoint
from mesh import lifecycle
from mesh.bus import Bus
from mesh.http import serve_web
from mesh.rpc.channel import open_channel

log = structlog.get_logger(__name__)


async def compose(application: lifecycle.Application[GatewaySettings]) -> None:
    """Put the gateway together."""
    settings = application.settings
    # FFmpeg writes about every damaged picture; the counters say it better.
    av.logging.set_level(None)
    # The pool's threads are the only ones that work on pixels: OpenCV's own would multiply them.
    cv2.setNumThreads(1)
    metrics = GatewayMetrics(application.metrics)
    secrets = CredentialStore(settings.camera_credentials)
    pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
    registry = await application.enter(open_channel(settings.registry, settings, peer="service/registry"))
    detector = await application.enter(open_channel(settings.detector, settings, peer="service/detector"))
    anonymizer = await application.enter(open_channel(settings.anonymizer, settings, peer="service/anonymizer"))
    # A camera waits for its peers to come back; whoever sends a file is told at once.
    setup = SessionSetup(settings, AnalysisClient(detector, anonymizer, patient=True), metrics, secrets, pool)
    fleet = Fleet(setup)
    publishers = Publishers(fleet, secrets)
    whip = WhipEndpoint(publishers.source, publishers.token, settings.camera_networks)
    web = serve_web(whip.application(), settings.web_listen, tls=setup.web_ssl())
    log.info("whip.serving", address=await application.enter(web))
    nats = Bus.connect(settings.nats_url, name=settings.replica, tls=setup.nats_tls(), metrics=application.metrics)
    bus = await application.enter(nats)

    media = MediaService(AnalysisClient(detector, anonymizer, patient=False), pool, settings.max_media_streams)
    register(application.grpc, GatewayService(fleet), media)

    holder = LeaseHolder(
        RegistryClient(registry),
        fleet,
        replica=settings.replica,
        capacity=settings.capacity,
        grace=settings.lease_grace_seconds,
    )
    health = HealthReporter(bus, fleet, metrics, replica=settings.replica, interval=settings.health_interval_seconds)
    application.spawn("leases", holder.run())
    application.spawn("health", health.run())
    application.spawn("governor", Governor(fleet, metrics).run())
    application.on_drain("leases", holder.drain)
    application.on_drain("fleet", fleet.close)


def main() -> int:
    """Run the service; the exit status."""
    return lifecycle.main("camera-gateway", GatewaySettings, compose)


if __name__ == "__main__":
    sys.exit(main())
