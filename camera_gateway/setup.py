"""Builds the session of an optic out of its lease."""

from __future__ import annotations

import random
import ssl
from typing import TYPE_CHECKING, Final

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import site_pb2
from camera_gateway.decoding import Sampler
from camera_gateway.domain.liveness import Backoff, Liveness, Timeouts
from camera_gateway.domain.motion import MotionGate
from camera_gateway.rtsp.source import RtspSource
from camera_gateway.session import OpticSession
from camera_gateway.whip import WhipSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from camera_gateway.credentials import CredentialStore
    from camera_gateway.fleet import Fleet
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.road import Peers
    from camera_gateway.settings import GatewaySettings
    from camera_gateway.sources import Source
    from mesh.tls import TlsFiles

DEFAULT_RATE: Final = 5.0
DEFAULT_WIDTH: Final = 768


class SessionSetup:
    """Makes sessions.

    Args:
        settings: of the process.
        peers: the detector and the anonymizer.
        metrics: of the process.
        secrets: of the cameras.
        pool: where decoding and scaling run.
    """

    def __init__(
        self, settings: GatewaySettings, peers: Peers, metrics: GatewayMetrics, secrets: CredentialStore, pool: Executor
    ) -> None:
        self._settings = settings
        self._peers = peers
        self._metrics = metrics
        self._secrets = secrets
        self._pool = pool

    def make_session(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, on_change: Callable[[str], None]
    ) -> OpticSession:
        """The session of one optic of a leased device."""
        settings = self._settings
        publishes = configuration.ingest == site_pb2.Optic.INGEST_WHIP
        return OpticSession(
            configuration,
            self._published(configuration) if publishes else self._dialled(device, configuration),
            liveness=self._liveness(publishes=publishes),
            peers=self._peers,
            metrics=self._metrics,
            verdict_seconds=settings.verdict_seconds,
            on_change=on_change,
        )

    def web_ssl(self) -> ssl.SSLContext | None:
        """HTTPS for WHIP, if it is wanted."""
        if not self._settings.web_tls:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._settings.tls_certificate, self._settings.tls_key)
        return context

    def nats_tls(self) -> TlsFiles | None:
        """This service's certificate, when the bus wants one."""
        return self._settings.tls if self._settings.nats_url.startswith("tls://") else None

    def _liveness(self, *, publishes: bool) -> Liveness:
        settings = self._settings
        timeouts = Timeouts(
            connect=None if publishes else settings.connect_seconds,
            first_frame=settings.first_frame_seconds,
            stall=settings.stall_seconds,
        )
        # A camera that publishes is not dialled: to be ready for it again costs nobody anything.
        backoff = Backoff(shortest=0.1, longest=0.1) if publishes else Backoff()
        return Liveness(timeouts, backoff, random.random)

    def _dialled(self, device: lease.DeviceLease, configuration: lease.OpticConfiguration) -> Source:
        return RtspSource(
            device.address,
            configuration.stream_path,
            credentials=lambda: self._secrets.credentials(device.credentials),
            allowed=self._settings.camera_networks,
            pool=self._pool,
            make_sampler=self._sampler_of(configuration),
        )

    def _published(self, configuration: lease.OpticConfiguration) -> Source:
        return WhipSource(self._pool, self._sampler_of(configuration))

    def _sampler_of(self, configuration: lease.OpticConfiguration) -> Callable[[], Sampler]:
        rate = configuration.policy.analysed_frame_rate or DEFAULT_RATE
        width = configuration.policy.analysis_width or DEFAULT_WIDTH
        return lambda: Sampler(MotionGate(rate, min(rate, self._settings.heartbeat_rate)), width)


class Publishers:
    """The optics of the fleet that are published by WHIP.

    Args:
        fleet: the sessions.
        secrets: of the cameras.
    """

    def __init__(self, fleet: Fleet, secrets: CredentialStore) -> None:
        self._fleet = fleet
        self._secrets = secrets

    def source(self, optic: str) -> WhipSource | None:
        """The source of ``optic`` while this replica works on it."""
        session = self._fleet.session(optic)
        return session.source if session is not None and isinstance(session.source, WhipSource) else None

    def token(self, optic: str) -> str | None:
        """The bearer token of ``optic`` while this replica works on it."""
        device, _, name = optic.partition("/optics/")
        held = self._fleet.device_lease(device)
        return None if held is None or self.source(optic) is None else self._secrets.token(held.credentials, name)
