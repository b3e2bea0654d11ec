"""Builds the streams and sessions of a device out of its lease."""

from __future__ import annotations

import random
import ssl
from typing import TYPE_CHECKING, Final

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import site_pb2
from camera_gateway.access import Access
from camera_gateway.decoding import Sampler
from camera_gateway.device import StreamKey
from camera_gateway.domain.admission import Admission, Limits
from camera_gateway.domain.liveness import Backoff, Liveness, Timeouts
from camera_gateway.domain.motion import MotionGate, watched_cells
from camera_gateway.hardware import DecoderFactory
from camera_gateway.mjpeg.source import MjpegSource
from camera_gateway.pipeline import Decoding
from camera_gateway.rtsp.address import Dialling
from camera_gateway.rtsp.source import RtspSource, Transport
from camera_gateway.rtsp.trust import CameraTrust
from camera_gateway.session import OpticSession, Times, crop_of, ignored_zones
from camera_gateway.stream import Stream
from camera_gateway.turns import Turns
from camera_gateway.views import View, Views
from camera_gateway.whip import WhipSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from camera_gateway.credentials import CredentialStore
    from camera_gateway.fleet import Fleet
    from camera_gateway.incidents import DeviceIncidents
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.road import Peers
    from camera_gateway.settings import GatewaySettings
    from camera_gateway.sources import Source
    from mesh.tls import TlsFiles

DEFAULT_WIDTH: Final = 768

_TRANSPORTS: Final = {
    site_pb2.Device.TRANSPORT_UNSPECIFIED: Transport.TCP,
    site_pb2.Device.TRANSPORT_TCP: Transport.TCP,
    site_pb2.Device.TRANSPORT_UDP: Transport.UDP,
    site_pb2.Device.TRANSPORT_TLS: Transport.TLS,
}


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
        self._make_decoder = DecoderFactory(settings.decode_device)
        self._dialling = Dialling(settings.camera_networks)
        self._turns = Turns(Admission(Limits(settings.dials, settings.dials_per_site)))

    def make_stream(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, incidents: DeviceIncidents
    ) -> Stream:
        """The stream that an optic of a leased device looks at."""
        views = Views()
        decoding = Decoding(self._pool, views, self._make_decoder)
        publishes = configuration.ingest == site_pb2.Optic.INGEST_WHIP
        return Stream(
            f"{device.device} {StreamKey.of(configuration).path}".strip(),
            WhipSource(self._pool, views) if publishes else self._dialled(device, configuration, decoding),
            views,
            liveness=self._liveness(publishes=publishes),
            listener=incidents,
            metrics=self._metrics,
            turns=None if publishes else (self._turns, configuration.site),
        )

    def make_session(
        self,
        configuration: lease.OpticConfiguration,
        stream: Stream,
        incidents: DeviceIncidents,
        on_change: Callable[[str], None],
    ) -> OpticSession:
        """The session of one optic of a leased device."""
        return OpticSession(
            configuration,
            stream,
            incidents,
            peers=self._peers,
            metrics=self._metrics,
            times=Times(self._settings.verdict_seconds, self._settings.heartbeat_rate),
            on_change=on_change,
        )

    def make_view(self, session: OpticSession) -> View:
        """How the optic of a session looks at its stream."""
        configuration, attention, pace = session.configuration, session.attention, session.pace
        width = configuration.policy.analysis_width or DEFAULT_WIDTH
        optic, crop = configuration.optic, crop_of(configuration)
        watched = watched_cells(
            [(point.x, point.y) for point in zone.polygon.points] for zone in ignored_zones(configuration)
        )

        def make_sampler() -> Sampler:
            gate = MotionGate(pace.rate, pace.heartbeat, watched=watched)
            return Sampler(optic, gate, width, crop, attention)

        return View(pace.rate, make_sampler, attention.allowance)

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

    def _dialled(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, decoding: Decoding
    ) -> Source:
        name = device.credentials
        access = Access(
            credentials=lambda: self._secrets.credentials(name),
            trust=lambda: CameraTrust(self._settings.camera_ca, self._secrets.certificate(name)),
        )
        address, path, transport = device.address, configuration.stream_path, _TRANSPORTS[device.transport]
        dialling = self._dialling
        if configuration.ingest == site_pb2.Optic.INGEST_MJPEG:
            encrypted = transport is Transport.TLS
            return MjpegSource(address, path, encrypted=encrypted, access=access, dialling=dialling, decoding=decoding)
        return RtspSource(address, path, transport=transport, access=access, dialling=dialling, decoding=decoding)


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
