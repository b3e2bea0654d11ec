"""Channels to the peers of a service: mutual TLS, a checked peer, deadlines, retries, trace and request id.

grpc's Python channel credentials are fixed once made. So a channel here is a thin layer over grpc's: when the
certificate files have been replaced, the next call goes over a new connection, and the old one lives on until its last
stream has ended.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import grpc
import structlog

from mesh import tracing
from mesh.errors import Unavailable
from mesh.rpc.interceptors import REQUEST_ID, remaining_seconds
from mesh.rpc.server import MAX_MESSAGE_BYTES
from mesh.tls import TlsWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from mesh.settings import ServiceSettings

log = structlog.get_logger()

DEFAULT_DEADLINE_SECONDS = 10.0
_SAFE_PREFIXES = ("Get", "List", "BatchGet", "Search", "Query", "Check")
_OLD_CONNECTION_GRACE_SECONDS = 24 * 3600.0
_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


@asynccontextmanager
async def open_channel(target: str, settings: ServiceSettings, *, peer: str) -> AsyncIterator[grpc.aio.Channel]:
    """Opens a channel for the block. It connects on the first call, and again whenever the connection is lost.

    Unary calls get a deadline of ten seconds unless they bring their own, and never one past the deadline of the RPC
    that is being handled. A unary call whose name says that it only reads is tried again, up to four times, when the
    peer is UNAVAILABLE.

    Args:
        target: ``host:port`` of the peer, or a gRPC name such as ``dns:///registry.argo:8443`` (calls go to all
            addresses in turn).
        settings: the certificate files of this process.
        peer: identity path that the server's certificate must be of, for example ``"service/registry"``.

    Raises:
        StartupError: the certificate files cannot be read.
    """
    channel = MeshChannel(target, TlsWatch(settings.tls), peer=peer)
    try:
        yield channel
    finally:
        await channel.close()


async def wait_until_ready(channel: grpc.aio.Channel, timeout_seconds: float) -> None:
    """Waits until the peer answers.

    Raises:
        Unavailable: it did not in time.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            await channel.channel_ready()
    except TimeoutError:
        raise Unavailable(f"the peer did not answer within {timeout_seconds:g} s", reason="PEER_UNREACHABLE") from None


class MeshChannel(grpc.aio.Channel):
    """A ``grpc.aio.Channel`` that follows the rotation of its certificate. Stubs use it like any other."""

    def __init__(self, target: str, watch: TlsWatch, *, peer: str) -> None:
        """Prepares a channel; nothing connects yet. Arguments as in ``open_channel``."""
        self._target = target
        self._watch = watch
        self._peer_name = peer.rsplit("/", 1)[1]
        self._safe_methods: set[str] = set()
        self._connection: grpc.aio.Channel | None = None
        self._generation = 0
        self._closing: set[asyncio.Task[None]] = set()

    def connection(self) -> tuple[int, grpc.aio.Channel]:
        """The channel of grpc to use now, and a number that changes when it was replaced."""
        if self._connection is not None and self._watch.changed():
            log.info("tls.reloaded", certificate=str(self._watch.files.certificate))
            self._retire(self._connection)
            self._connection = None
        if self._connection is None:
            self._generation += 1
            self._connection = self._connect()
        return self._generation, self._connection

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        if method.rsplit("/", 1)[1].startswith(_SAFE_PREFIXES):
            self._safe_methods.add(method)
        return _MultiCallable(self, "unary_unary", (method, *arguments), options)

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return _MultiCallable(self, "unary_stream", (method, *arguments), options)

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return _MultiCallable(self, "stream_unary", (method, *arguments), options)

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """See ``grpc.aio.Channel``."""
        return _MultiCallable(self, "stream_stream", (method, *arguments), options)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - of grpc
        """See ``grpc.aio.Channel``."""
        return self.connection()[1].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See ``grpc.aio.Channel``."""
        await self.connection()[1].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See ``grpc.aio.Channel``."""
        await self.connection()[1].channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """See ``grpc.aio.Channel``."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _connect(self) -> grpc.aio.Channel:
        bundle = self._watch.bundle
        credentials = grpc.ssl_channel_credentials(bundle.ca, bundle.key, bundle.certificate)
        return grpc.aio.secure_channel(self._target, credentials, options=self._options())

    def _options(self) -> list[tuple[str, Any]]:
        config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
        if self._safe_methods:
            names = [dict(zip(("service", "method"), safe[1:].split("/"), strict=True)) for safe in self._safe_methods]
            config["methodConfig"] = [{"name": names, "retryPolicy": _RETRY_POLICY}]
        return [
            # The server's certificate must carry the peer's own name: that of another service of the mesh is not
            # accepted.
            ("grpc.ssl_target_name_override", self._peer_name),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 500),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.service_config", json.dumps(config)),
        ]

    def _retire(self, connection: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(
            connection.close(_OLD_CONNECTION_GRACE_SECONDS), name="retired-connection"
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _MultiCallable:
    """What a stub calls: finds the connection of the moment, and adds deadline, trace context and request id."""

    def __init__(self, channel: MeshChannel, kind: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._channel = channel
        self._kind = kind
        self._arguments = arguments
        self._options = options
        self._generation = -1
        self._callable: Any = None

    def __call__(self, *arguments: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        generation, connection = self._channel.connection()
        if generation != self._generation:
            self._callable = getattr(connection, self._kind)(*self._arguments, **self._options)
            self._generation = generation
        if self._kind == "unary_unary":
            timeout = min(DEFAULT_DEADLINE_SECONDS if timeout is None else timeout, remaining_seconds())
        return self._callable(*arguments, timeout=timeout, metadata=_with_context(metadata), **options)


def _with_context(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    headers = tracing.inject()
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id is not None:
        headers[REQUEST_ID] = str(request_id)
    return (*tuple(metadata or ()), *headers.items())
