"""The gRPC server of a service: mutual TLS with certificate reload, layers around every RPC, health and reflection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from mesh.access.admission import RightsTaken
from mesh.http import port_in_use
from mesh.rpc.authorisation import Authorisation, token_verifier
from mesh.rpc.interceptors import (
    DeadlineCap,
    LayeredInterceptor,
    RequestLog,
    answer_errors,
    continue_trace,
)
from mesh.tls import TlsBundle, TlsWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import prometheus_client

    from mesh.settings import ServiceSettings

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""A raw 4K frame in I420 is 12.4 MB; the limit leaves room and still bounds what one message can take."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Without this two processes can bind one port, and callers reach either of them.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_REFLECTION = "grpc.reflection.v1alpha.ServerReflection"


class Registrar(Protocol):
    """What a service adds its servicers to: a ``GrpcServer``, or whoever serves them in another way."""

    def add(self, add_to_server: Callable[[Any, grpc.aio.Server], None], servicer: object, full_name: str) -> None:
        """See ``GrpcServer.add``."""
        ...

    def let_break_glass(self, rights_taken: RightsTaken) -> None:
        """See ``GrpcServer.let_break_glass``."""
        ...


class GrpcServer:
    """A grpc.aio server. Add servicers, then start it; it serves NOT_SERVING until told otherwise."""

    def __init__(
        self,
        settings: ServiceSettings,
        metrics: prometheus_client.CollectorRegistry,
        *,
        unary_deadline_seconds: float = 60.0,
    ) -> None:
        """Prepares a server; nothing listens yet.

        Args:
            settings: address, certificate files, trust domain.
            metrics: where the RPC metrics go.
            unary_deadline_seconds: no unary call runs longer.

        Raises:
            StartupError: the certificate files cannot be read.
        """
        self._settings = settings
        self._watch = TlsWatch(settings.tls)
        self.tokens = token_verifier(settings)
        self._authorisation = Authorisation(settings.trust_domain, self.tokens, required=settings.oidc_required)
        self._authorisation.open({"/grpc.health.v1.Health/*": ("*/*",), f"/{_REFLECTION}/*": ("*/*",)})
        layers = (
            RequestLog(metrics),
            answer_errors,
            self._authorisation,
            continue_trace,
            DeadlineCap(unary_deadline_seconds),
        )
        self._server = grpc.aio.server(interceptors=[LayeredInterceptor(layers)], options=_OPTIONS)
        self._health = health_aio.HealthServicer()
        self._names: list[str] = []
        self._address: str | None = None

    @property
    def address(self) -> str:
        """``host:port`` that the server is bound to.

        Raises:
            RuntimeError: it has not been started.
        """
        if self._address is None:
            raise RuntimeError("the gRPC server has not been started")
        return self._address

    def add(self, add_to_server: Callable[[Any, grpc.aio.Server], None], servicer: object, full_name: str) -> None:
        """Adds a servicer; who may call it stands in ``mesh/access/permissions.toml``.

        Args:
            add_to_server: the generated ``add_…Servicer_to_server``.
            servicer: the implementation.
            full_name: of the service, for example ``"argo.registry.v1.RegistryService"``; also its name for health
                checks.
        """
        add_to_server(servicer, self._server)
        self._names.append(full_name)

    def open(self, methods: Mapping[str, tuple[str, ...]]) -> None:
        """Opens methods that are of no service of the mesh; those of its services have their rows in the matrix.

        Args:
            methods: full method names (``/package.Service/Method``) to patterns of identity paths, for example
                ``("service/*",)``.
        """
        self._authorisation.open(methods)

    def let_break_glass(self, rights_taken: RightsTaken) -> None:
        """Lets callers in by a right that they have taken in an emergency.

        Args:
            rights_taken: asked before a refusal.
        """
        self._authorisation.let_break_glass(rights_taken)

    async def start(self) -> None:
        """Binds the port and starts to answer; health says NOT_SERVING.

        Raises:
            StartupError: the port cannot be bound.
        """
        await self._report(health_pb2.HealthCheckResponse.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if self._settings.grpc_reflection:
            names = (*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, _REFLECTION)
            reflection.enable_server_reflection(names, self._server)
        try:
            port = self._server.add_secure_port(self._settings.grpc_listen, self._credentials())
        except RuntimeError as error:
            raise port_in_use(self._settings.grpc_listen) from error
        if port == 0:
            raise port_in_use(self._settings.grpc_listen)
        self._address = f"{self._settings.grpc_listen.rpartition(':')[0]}:{port}"
        await self._server.start()

    async def serving(self) -> None:
        """Lets health say SERVING."""
        await self._report(health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Lets health say NOT_SERVING from now on; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls and lets the open ones run for at most the grace; then cancels them."""
        await asyncio.shield(self._server.stop(grace_seconds))

    async def _report(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)

    def _credentials(self) -> grpc.ServerCredentials:
        def newest() -> Any:
            # grpc asks before every handshake, from a thread of its own.
            if not self._watch.changed():
                return None
            log.info("tls.reloaded", certificate=str(self._watch.files.certificate))
            return _configuration(self._watch.bundle)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._watch.bundle), newest, require_client_authentication=True
        )


def _configuration(bundle: TlsBundle) -> Any:
    return grpc.ssl_server_certificate_configuration([(bundle.key, bundle.certificate)], root_certificates=bundle.ca)
