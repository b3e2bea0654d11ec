"""Composition root of the anonymizer."""

from __future__ import annotations

import secrets
import sys
from concurrent.futures import ThreadPoolExecutor

import av.logging
import cv2
import structlog

from anonymizer import setup, sql
from anonymizer.broadcast import Broadcasts
from anonymizer.domain.viewing import ViewingBook
from anonymizer.encoders import Encoders
from anonymizer.live_view_service import LiveViewServicer
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.service import RedactionServicer
from anonymizer.settings import AnonymizerSettings
from anonymizer.whep import WhepEndpoint
from argo.anonymizer.v1 import live_view_service_pb2_grpc, redaction_service_pb2_grpc
from mesh import lifecycle
from mesh.http import serve_web
from mesh.ice import offer_loopback

log = structlog.get_logger(__name__)

_TOKEN_BYTES = 32


async def compose(application: lifecycle.Application[AnonymizerSettings]) -> None:
    """Put the anonymizer together."""
    settings = application.settings
    av.logging.set_level(None)
    # The executor's threads are the only ones that mask: OpenCV's own would multiply them.
    cv2.setNumThreads(1)
    metrics = AnonymizerMetrics(application.metrics)
    executor = ThreadPoolExecutor(settings.redaction_threads, thread_name_prefix="redaction")
    recording = await setup.recording(application, metrics)
    broadcasts = Broadcasts()
    book = ViewingBook(lambda: secrets.token_urlsafe(_TOKEN_BYTES), lambda: f"v{secrets.token_hex(8)}")
    whep = WhepEndpoint(book, broadcasts, metrics, settings.console_origin, executor)
    if settings.web_listen.startswith("127."):
        offer_loopback()
    tls = setup.web_tls(settings)
    address = await application.enter(serve_web(whep.application(), settings.web_listen, tls=tls))
    base_url = (settings.web_public_url or f"{'https' if tls else 'http'}://{address}").rstrip("/")
    log.info("live_view.serving", url=base_url)

    redaction = RedactionServicer(
        executor,
        broadcasts,
        recording.recorder if recording else None,
        metrics,
        settings.max_streams,
        Encoders(settings.encoder),
    )
    application.grpc.add(
        redaction_service_pb2_grpc.add_RedactionServiceServicer_to_server,
        redaction,
        "argo.anonymizer.v1.RedactionService",
    )
    application.grpc.add(
        live_view_service_pb2_grpc.add_LiveViewServiceServicer_to_server,
        LiveViewServicer(book, broadcasts, base_url),
        "argo.anonymizer.v1.LiveViewService",
    )
    application.on_drain("redaction", redaction.drain)
    application.on_drain("live-view", whep.close)
    if recording is not None:
        application.on_drain("recording", recording.drain)


def main() -> int:
    """Run the service; the exit status."""
    return lifecycle.main("anonymizer", AnonymizerSettings, compose, commands={"migrate": sql.migrate_command})


if __name__ == "__main__":
    sys.exit(main())
