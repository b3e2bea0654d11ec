"""One durable pull consumer of a JetStream stream, over one connection: fetch, parse, handle, acknowledge."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import nats.errors
import nats.js.api
import nats.js.errors
import prometheus_client
import structlog
from google.protobuf.message import DecodeError, Message

from mesh import tracing
from mesh.cancellation import stay_cancelled
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import datetime

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

log = structlog.get_logger()

M = TypeVar("M", bound=Message)

MESSAGE_ID = "Nats-Msg-Id"
FAILURES = (nats.errors.Error, TimeoutError, OSError)
"""What nats-py raises when the server is away, restarting, or refuses."""

_FETCH_SECONDS = 2.0
_ACK_WAIT_SECONDS = 30.0
_FIRST_DELAY_SECONDS, _LAST_DELAY_SECONDS = 0.5, 30.0
_REMEMBERED = 4096


@dataclass(frozen=True)
class Delivery:
    """What a handler may know about a message beside its content.

    Attributes:
        subject: it was published on.
        message_id: given by the publisher, empty if there was none.
        sequence: in the stream, from 1.
        attempt: 1 for the first delivery.
        published: when the server stored it, UTC.
        headers: of the message, names in lower case.
    """

    subject: str
    message_id: str
    sequence: int
    attempt: int
    published: datetime
    headers: Mapping[str, str]


class ConsumerMetrics:
    """What is counted about the messages of all consumers of a process."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.handled = prometheus_client.Counter(
            "argo_bus_handled", "Deliveries by outcome.", ["stream", "outcome"], registry=registry
        )


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """nats-py cancels what waits when its connection closes; that must not look like a cancellation of our own task.

    Raises:
        nats.errors.ConnectionClosedError: in place of such a cancellation.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise nats.errors.ConnectionClosedError from None


class Consumer(Generic[M]):
    """A durable consumer; outlives the connections that it is pumped over."""

    def __init__(
        self,
        stream: str,
        durable: str,
        subject: str,
        message_type: type[M],
        handle: Callable[[M, Delivery], Awaitable[None]],
        metrics: ConsumerMetrics,
    ) -> None:
        """Arguments as in ``Bus.consume``."""
        self._stream = stream
        self._durable = durable
        self._subject = subject
        self._message_type = message_type
        self._handle = handle
        self._metrics = metrics
        # A server that was killed may have lost the newest acknowledgements and deliver those messages again.
        self._handled: OrderedDict[tuple[int, datetime], None] = OrderedDict()

    async def pump(self, client: Client, batch: int, *, concurrent: bool = False) -> None:
        """Fetches and handles messages until the connection is closed.

        Raises:
            nats.js.errors.NotFoundError: the stream or the consumer does not exist.
            nats.errors.Error: the connection failed, or the server refused.
        """
        jetstream = client.jetstream(timeout=5)
        with interruptible():
            await jetstream.add_consumer(self._stream, self._configuration())
            subscription = await jetstream.pull_subscribe_bind(durable=self._durable, stream=self._stream)
        while not client.is_closed:
            stay_cancelled()
            messages = await self._fetch(jetstream, subscription, batch)
            if concurrent:
                await asyncio.gather(*(self._deliver(message) for message in messages))
                continue
            for message in messages:
                await self._deliver(message)

    async def _fetch(
        self, jetstream: JetStreamContext, subscription: JetStreamContext.PullSubscription, batch: int
    ) -> list[Msg]:
        with interruptible():
            try:
                return await subscription.fetch(batch, timeout=_FETCH_SECONDS)
            except TimeoutError:
                # Nothing to do, or the consumer is gone: a pull request to a lost consumer is answered by silence.
                await jetstream.consumer_info(self._stream, self._durable)
                return []

    def _configuration(self) -> nats.js.api.ConsumerConfig:
        return nats.js.api.ConsumerConfig(
            durable_name=self._durable,
            filter_subject=self._subject,
            deliver_policy=nats.js.api.DeliverPolicy.ALL,
            ack_policy=nats.js.api.AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT_SECONDS,
            max_deliver=-1,
        )

    async def _deliver(self, message: Msg) -> None:
        delivery = _describe(message)
        key = (delivery.sequence, delivery.published)
        if key in self._handled:
            await self._answer(message, "repeated")
            return
        content = self._parse(message.data)
        if content is None:
            log.error("message.unreadable", stream=self._stream, consumer=self._durable, stream_seq=delivery.sequence)
            await self._answer(message, "unreadable")
            return
        outcome = await self._run_handler(content, delivery)
        if outcome == "handled":
            self._remember(key)
        await self._answer(message, outcome, delay=_retry_delay(delivery.attempt))

    def _parse(self, data: bytes) -> M | None:
        try:
            return self._message_type.FromString(data)
        except DecodeError:
            return None

    async def _run_handler(self, content: M, delivery: Delivery) -> str:
        with structlog.contextvars.bound_contextvars(consumer=self._durable, stream_seq=delivery.sequence):
            try:
                with tracing.continued(delivery.headers, f"consume {self._durable}"):
                    await self._handle(content, delivery)
            except Unavailable as error:
                log.debug("message.postponed", error_reason=error.reason)
                return "postponed"
            except Exception:
                if delivery.attempt == 1 or delivery.attempt % 10 == 0:
                    log.exception("message.failed", attempt=delivery.attempt)
                return "failed"
        return "handled"

    async def _answer(self, message: Msg, outcome: str, *, delay: float = 0.0) -> None:
        self._metrics.handled.labels(self._stream, outcome).inc()
        # An answer that does not reach the server brings the message again, and what was handled is remembered.
        with contextlib.suppress(*FAILURES), interruptible():
            if outcome in ("handled", "repeated"):
                await message.ack()
            elif outcome == "unreadable":
                await message.term()
            else:
                await message.nak(delay=delay)

    def _remember(self, key: tuple[int, datetime]) -> None:
        self._handled[key] = None
        if len(self._handled) > _REMEMBERED:
            self._handled.popitem(last=False)


def _retry_delay(attempt: int) -> float:
    return min(_LAST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(attempt - 1, 10))


def _describe(message: Msg) -> Delivery:
    metadata = message.metadata
    headers = {name.lower(): value for name, value in (message.headers or {}).items()}
    return Delivery(
        subject=message.subject,
        message_id=headers.get(MESSAGE_ID.lower(), ""),
        sequence=metadata.sequence.stream,
        attempt=metadata.num_delivered,
        published=metadata.timestamp,
        headers=headers,
    )
