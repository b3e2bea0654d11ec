"""The parts of the anonymizer that depend on its settings."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from botocore.exceptions import BotoCoreError

from anonymizer.clients import HoldsClient
from anonymizer.database import Database
from anonymizer.erasure import Eraser, Premises
from anonymizer.erasure_index import ErasureIndex
from anonymizer.erasure_service import ErasureServicer
from anonymizer.exports import SOFTWARE
from anonymizer.index import IndexWriter, SegmentIndex
from anonymizer.playback import Archive
from anonymizer.recording import Recorder
from anonymizer.recording_service import RecordingServicer
from anonymizer.reports import ErasureReports
from anonymizer.sealing import read_wrapping_key
from anonymizer.sql import SCHEMA
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping, KeyWrapping, KmsWrapping
from argo.alerting.v1 import audit_service_pb2, audit_service_pb2_grpc
from argo.anonymizer.v1 import erasure_service_pb2_grpc, recording_service_pb2_grpc
from mesh.audit.anchorage import keep_checkpoints
from mesh.audit.service import AuditServicer
from mesh.errors import StartupError
from mesh.rpc.channel import open_channel
from mesh.signing import Signer, read_signing_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anonymizer.domain.holding import Holds
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.settings import AnonymizerSettings
    from mesh import lifecycle

log = structlog.get_logger(__name__)

_CLIP_THREADS = 2
_MUXING_THREADS = 2
"""Of their own: segments of many optics are whole at the same moment, and must not wait behind masking."""


class Recording:
    """All that records, erases and reads, over one store and one database.

    Args:
        settings: with everything that recording needs.
        metrics: counts what happens.
        read_holds: asks what is held.

    Raises:
        StartupError: the store or a key cannot be used.
    """

    def __init__(
        self,
        settings: AnonymizerSettings,
        metrics: AnonymizerMetrics,
        read_holds: Callable[[], Awaitable[Holds]],
    ) -> None:
        url, signing_key = settings.recording_url, settings.signing_key_file
        assert url is not None
        assert signing_key is not None
        self._settings = settings
        self.signer = Signer(read_signing_key(signing_key))
        self.store = RecordingStore(open_objects(url.get_secret_value()), _wrapping(settings))
        self.database = Database()
        self.index = SegmentIndex(self.database)
        self.indexing = IndexWriter(self.index, metrics, utc_now)
        self.due = ErasureIndex(self.database)
        reports = ErasureReports(self.store, self.due, self.signer, SOFTWARE)
        premises = Premises(self.store, self.index, self.due, reports)
        self.eraser = Eraser(premises, read_holds, metrics, utc_now, self.database.now)
        muxing = ThreadPoolExecutor(_MUXING_THREADS, thread_name_prefix="muxing")
        self.recorder = Recorder(self.store, metrics, muxing, is_over=self.eraser.is_over, stored=self.indexing.put)

    def servicer(self) -> RecordingServicer:
        """Answers RecordingService."""
        clips = ThreadPoolExecutor(_CLIP_THREADS, thread_name_prefix="clips")
        archive = Archive(self.store, self.index, clips, lambda: self.eraser.holds, utc_now)
        longest = timedelta(seconds=self._settings.longest_clip_seconds)
        return RecordingServicer(archive, self.database, self.signer, longest)

    def start(self, application: lifecycle.Application[AnonymizerSettings]) -> None:
        """Writes and erases from now on, and answers once the server serves."""
        settings = self._settings
        assert settings.postgres_dsn is not None
        application.grpc.add(
            recording_service_pb2_grpc.add_RecordingServiceServicer_to_server,
            self.servicer(),
            "argo.anonymizer.v1.RecordingService",
        )
        application.grpc.add(
            erasure_service_pb2_grpc.add_ErasureServiceServicer_to_server,
            ErasureServicer(self.store, self.due, self.database),
            "argo.anonymizer.v1.ErasureService",
        )
        audit = AuditServicer(audit_service_pb2, self.database.audit_log, SCHEMA, self.signer, utc_now)
        audit.register(audit_service_pb2_grpc.add_AuditServiceServicer_to_server, application.grpc)
        migrate = settings.migrate_on_start
        application.spawn("database", self.database.keep_open(settings.postgres_dsn, migrate=migrate))
        application.spawn("recording", self.recorder.run())
        application.spawn("indexing", self.indexing.run())
        application.spawn("erasure", self.eraser.run(settings.erasure_period_seconds))
        keep_checkpoints(application, settings, self.database.audit_log, SCHEMA)
        log.info("recording.signing_key_loaded", thumbprint=self.signer.thumbprint)

    async def drain(self) -> None:
        """Returns when all that was recorded is in the store and in the index."""
        await self.recorder.drain()
        await self.indexing.drain()


async def recording(
    application: lifecycle.Application[AnonymizerSettings], metrics: AnonymizerMetrics
) -> Recording | None:
    """The recording, already writing and erasing; None when no store is set.

    Raises:
        StartupError: the store or a key cannot be used.
    """
    settings = application.settings
    if settings.recording_url is None or settings.registry is None:
        log.warning("recording.disabled")
        return None
    registry = await application.enter(open_channel(settings.registry, settings, peer="service/registry"))
    running = Recording(settings, metrics, HoldsClient(registry).read)
    running.start(application)
    return running


def _wrapping(settings: AnonymizerSettings) -> KeyWrapping:
    if settings.recording_kms_key is not None:
        try:
            return KmsWrapping(settings.recording_kms_key)
        except (BotoCoreError, ValueError) as error:
            raise StartupError(
                f"the key service cannot be asked ({type(error).__name__})", "set AWS_REGION, AWS_ENDPOINT_URL_KMS"
            ) from None
    assert settings.recording_key_file is not None
    return FileWrapping(read_wrapping_key(settings.recording_key_file))


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def web_tls(settings: AnonymizerSettings) -> ssl.SSLContext | None:
    """How the live view is served: HTTPS with the certificate of the settings, or None for HTTP."""
    if settings.web_tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.web_tls_certificate, settings.web_tls_key)
    return context
