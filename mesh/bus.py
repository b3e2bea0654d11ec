"""NATS JetStream: protobuf messages, published once, consumed until a handler has dealt with them.

The connection is made in the background and for ever, so a service starts and works without its bus, and says so. Every
connection is a new nats-py client: its own reconnection gives up on errors that it does not expect, leaves pull
requests of a dead server waiting, and keeps the certificate it began with. Only changes of state are logged, not
attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn, TypeVar

import nats.errors
import nats.js.api
import nats.js.errors
import prometheus_client
import structlog
from google.protobuf.message import Message
from nats.aio.client import Client

from mesh import tracing
from mesh.cancellation import stay_cancelled
from mesh.consumer import FAILURES, MESSAGE_ID, Consumer, ConsumerMetrics, Delivery, interruptible
from mesh.errors import Unavailable
from mesh.tls import TlsFiles, client_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["Bus", "Delivery", "StreamSpec"]

log = structlog.get_logger()

M = TypeVar("M", bound=Message)

_RETENTION_LIMIT = timedelta(days=7)
_RETRY_SECONDS = 0.5
_LAST_RETRY_SECONDS = 2.0
_WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class StreamSpec:
    """A JetStream stream, declared by the service that owns it.

    Attributes:
        name: for example ``"ARGO_EVENTS"``.
        subjects: what it keeps, for example ``("argo.v1.event.>",)``.
        max_age: of a message; at most seven days, since what came from a camera is erased then.
        duplicate_window: how long a message id is remembered.
        max_bytes: on disk; the oldest messages go first.
        replicas: copies on different servers of a cluster.
    """

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta = _RETENTION_LIMIT
    duplicate_window: timedelta = timedelta(minutes=2)
    max_bytes: int = 1024**3
    replicas: int = 1

    def __post_init__(self) -> None:
        if not timedelta(0) < self.max_age <= _RETENTION_LIMIT:
            raise ValueError("a stream keeps its messages for more than nothing and at most seven days")


class Bus:
    """A connection to NATS. Make it with ``connect``."""

    def __init__(
        self, url: str, name: str, tls: TlsFiles | None, server_name: str, metrics: prometheus_client.CollectorRegistry
    ) -> None:
        """Arguments as in ``connect``; nothing connects yet."""
        self._servers = [part.strip() for part in url.split(",")]
        self._name = name
        self._tls = tls
        self._server_name = server_name
        self._client: Client | None = None
        self._is_connected = asyncio.Event()
        self._consumer_metrics = ConsumerMetrics(metrics)
        self._published = prometheus_client.Counter(
            "argo_bus_published", "Messages by outcome.", ["outcome"], registry=metrics
        )
        self._up = prometheus_client.Gauge("argo_bus_connected", "1 while NATS is there.", registry=metrics)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        tls: TlsFiles | None = None,
        server_name: str = "nats",
        metrics: prometheus_client.CollectorRegistry | None = None,
    ) -> AsyncIterator[Bus]:
        """Keeps a connection for the block; does not wait for it.

        Args:
            url: one or more, separated by commas, ``tls://host:port`` or ``nats://host:port``.
            name: of this client, shown by the server.
            tls: the certificate of this client; needed for ``tls://``. It is read again for every new connection.
            server_name: host name that the server's certificate must carry.
            metrics: where the metrics go; a registry of their own if none is given.

        Raises:
            StartupError: the certificate files cannot be read.
        """
        if tls is not None:
            tls.read()
        bus = cls(url, name, tls, server_name, metrics or prometheus_client.CollectorRegistry())
        keeping = asyncio.create_task(bus._keep_connected(), name="bus-connection")
        try:
            yield bus
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return self._is_connected.is_set()

    async def wait_connected(self, timeout_seconds: float) -> None:
        """Waits for the server.

        Raises:
            Unavailable: it was not there in time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._is_connected.wait()
        except TimeoutError:
            raise _unavailable("is not connected") from None

    async def declare(self, stream: StreamSpec) -> None:
        """Makes the stream, or changes it to the specification; may be repeated.

        Raises:
            Unavailable: the server is not there or refused; try again.
        """
        jetstream = self._connected_client().jetstream(timeout=5)
        config = nats.js.api.StreamConfig(
            name=stream.name,
            subjects=list(stream.subjects),
            max_age=stream.max_age.total_seconds(),
            max_bytes=stream.max_bytes,
            duplicate_window=stream.duplicate_window.total_seconds(),
            storage=nats.js.api.StorageType.FILE,
            num_replicas=stream.replicas,
        )
        try:
            with interruptible():
                try:
                    await jetstream.update_stream(config)
                except nats.js.errors.NotFoundError:
                    await jetstream.add_stream(config)
                    log.info("bus.stream_declared", stream=stream.name)
        except FAILURES as error:
            raise _unavailable(f"did not declare {stream.name}") from error

    async def publish(self, subject: str, message: Message, *, message_id: str) -> None:
        """Publishes a message and waits until the stream has it.

        Args:
            subject: a stream must keep it.
            message: sent in its binary form.
            message_id: the server drops a second message with the same id within the stream's duplicate window.

        Raises:
            Unavailable: the server did not say that it has the message; publish it again with the same id.
        """
        headers = {MESSAGE_ID: message_id, **tracing.inject()}
        try:
            jetstream = self._connected_client().jetstream(timeout=5)
            with interruptible():
                await jetstream.publish(subject, message.SerializeToString(), timeout=5, headers=headers)
        except FAILURES as error:
            self._published.labels("failed").inc()
            raise _unavailable("did not take the message") from error
        except Unavailable:
            self._published.labels("failed").inc()
            raise
        self._published.labels("stored").inc()

    async def consume(
        self,
        stream: str,
        *,
        durable: str,
        subject: str,
        message_type: type[M],
        handle: Callable[[M, Delivery], Awaitable[None]],
        batch: int = 64,
        concurrent: bool = False,
    ) -> NoReturn:
        """Hands the messages of a stream to ``handle``, one after the other unless told otherwise, for ever.

        A message is acknowledged when ``handle`` has returned. When it raised Unavailable, the message comes again,
        later each time (0.5 s to 30 s); after any other exception likewise, with an error in the log. A message that
        cannot be parsed is given up and counted. Waits for a server that is away and for a stream that does not exist
        yet, and makes the durable consumer anew when the server lost it.

        Args:
            stream: name of the stream.
            durable: name of the consumer; processes with one name share the messages.
            subject: which messages, may hold wildcards.
            message_type: to parse them as.
            handle: must bear that a message comes twice: a crash between its return and the acknowledgement does that.
            batch: how many messages are fetched at once.
            concurrent: hand all that were fetched over at once, for a handler that gathers them; the next ones are
                fetched when all of them are answered.
        """
        consumer = Consumer(stream, durable, subject, message_type, handle, self._consumer_metrics)
        waiting_for_stream = False
        while True:
            stay_cancelled()
            await self._is_connected.wait()
            try:
                await consumer.pump(self._connected_client(), batch, concurrent=concurrent)
                waiting_for_stream = False
            except nats.js.errors.NotFoundError:
                if not waiting_for_stream:
                    log.info("bus.stream_awaited", stream=stream, consumer=durable)
                waiting_for_stream = True
            except (*FAILURES, Unavailable) as error:
                # The server is away or starting; the change of state is logged where the connection is kept.
                log.debug("bus.consumer_interrupted", consumer=durable, error_reason=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    def _connected_client(self) -> Client:
        if self._client is None:
            raise _unavailable("is not connected")
        return self._client

    async def _keep_connected(self) -> None:
        retry_seconds, told, was_connected = _RETRY_SECONDS, False, False
        while True:
            stay_cancelled()
            try:
                async with self._connection() as (client, closed):
                    log.info("bus.reconnected" if was_connected else "bus.connected")
                    retry_seconds, told, was_connected = _RETRY_SECONDS, False, True
                    await _until_lost(client, closed)
                log.warning("bus.disconnected")
            except Exception as error:  # noqa: BLE001 - whatever nats-py raises, the answer is to connect again
                if not told and not was_connected:
                    log.warning("bus.unreachable", error_reason=type(error).__name__)
                told = True
            await asyncio.sleep(retry_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            retry_seconds = min(_LAST_RETRY_SECONDS, 2 * retry_seconds)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[Client, asyncio.Event]]:
        client, closed = Client(), asyncio.Event()

        async def on_closed() -> None:
            closed.set()

        async def on_error(_error: Exception) -> None:
            pass  # nats-py's own callback prints a traceback at every attempt

        try:
            with interruptible():
                await client.connect(
                    self._servers,
                    name=self._name,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    allow_reconnect=False,
                    # Otherwise one connect would try sixty times by itself, two seconds apart.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=5,
                    ping_interval=10,
                    tls=client_context(self._tls) if self._tls is not None else None,
                    tls_hostname=self._server_name if self._tls is not None else None,
                )
            self._client = client
            self._is_connected.set()
            self._up.set(1)
            yield client, closed
        finally:
            self._client = None
            self._is_connected.clear()
            self._up.set(0)
            await _close(client)


async def _until_lost(client: Client, closed: asyncio.Event) -> None:
    """Returns when the connection is gone.

    nats-py's callback alone does not do: it comes only after the old socket was closed, which can take a minute.
    """
    while client.is_connected:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WATCH_SECONDS):
                await closed.wait()


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(3):
            if client.is_connected:
                await client.flush(2)
            await client.close()


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"the message bus {what}", reason="BUS_UNAVAILABLE")
