"""The parts of the anonymizer that depend on its settings."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from anonymizer.clients import HoldsClient
from anonymizer.erasure import Eraser
from anonymizer.recording import Recorder
from anonymizer.sealing import read_wrapping_key
from anonymizer.store import RecordingStore, open_objects
from mesh.rpc.channel import open_channel

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.settings import AnonymizerSettings
    from mesh import lifecycle

log = structlog.get_logger(__name__)


async def recorder(
    application: lifecycle.Application[AnonymizerSettings], metrics: AnonymizerMetrics, executor: Executor
) -> Recorder | None:
    """The recorder, already writing and erasing; None when no store is set.

    Raises:
        StartupError: the store or the key cannot be used.
    """
    settings = application.settings
    if settings.recording_url is None or settings.recording_key_file is None or settings.registry is None:
        log.warning("recording.disabled")
        return None
    objects = open_objects(settings.recording_url.get_secret_value())
    store = RecordingStore(objects, read_wrapping_key(settings.recording_key_file))
    running = Recorder(store, metrics, executor)
    registry = await application.enter(open_channel(settings.registry, settings, peer="service/registry"))
    eraser = Eraser(store, HoldsClient(registry).read, metrics, lambda: datetime.now(UTC))
    application.spawn("recording", running.run())
    application.spawn("erasure", eraser.run(settings.erasure_period_seconds))
    return running


def web_tls(settings: AnonymizerSettings) -> ssl.SSLContext | None:
    """How the live view is served: HTTPS with the certificate of the settings, or None for HTTP."""
    if settings.web_tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.web_tls_certificate, settings.web_tls_key)
    return context
