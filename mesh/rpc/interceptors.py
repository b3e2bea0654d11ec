"""What happens around every RPC of a server, in one interceptor made of layers.

A layer is an async context manager around the handler. The order, from the outside: log and count, errors,
authorisation, deadline. A streaming handler that is an async generator is run to its end inside the layers, so that a
cancelled stream leaves them in order.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
import prometheus_client
import structlog
from grpc_status import rpc_status

from mesh import tracing
from mesh.errors import ArgoError, DeadlineExceeded, Unauthenticated, Unavailable
from mesh.rpc.status import to_status

log = structlog.get_logger()

HEALTH = "/grpc.health.v1.Health/"
REQUEST_ID = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass
class Call:
    """One RPC on its way through the layers.

    Attributes:
        method: full name, ``/package.Service/Method``.
        streaming: whether either side streams.
        context: grpc's context of the RPC.
        metadata: of the request, text values only.
        request_id: from the caller, or a new one.
        error: what the RPC was refused or failed with.
        ends: when the caller's token ends, and a stream with it; none: never.
    """

    method: str
    streaming: bool
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    error: ArgoError | None = None
    ends: datetime | None = None


Layer = Callable[[Call], AbstractAsyncContextManager[None]]


class LayeredInterceptor(grpc.aio.ServerInterceptor):
    """Runs every handler inside the given layers, the first one outermost."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._layers = layers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Called by grpc for every RPC."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        details: Any = handler_call_details
        metadata = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}
        streaming = handler.request_streaming or handler.response_streaming
        kind = ("stream" if handler.request_streaming else "unary") + (
            "_stream" if handler.response_streaming else "_unary"
        )
        behaviour = getattr(handler, kind)

        async def layered(request: Any, context: Any) -> Any:
            call = Call(details.method, streaming, context, metadata)
            async with AsyncExitStack() as stack:
                for layer in self._layers:
                    await stack.enter_async_context(layer(call))
                return await _run(behaviour, request, context, call)

        make: Any = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            layered, handler.request_deserializer, handler.response_serializer
        )
        return wrapped


async def _run(behaviour: Callable[[Any, Any], Any], request: Any, context: Any, call: Call) -> Any:
    answer = behaviour(request, context)
    if not inspect.isasyncgen(answer):
        return await answer
    async with aclosing(answer):
        async for message in answer if call.ends is None else _until(call.ends, answer):
            await context.write(message)
    return None


async def _until(ends: datetime, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages up to that time. A write is never cut off: grpc could not tell the caller why after that."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + (ends - datetime.now(UTC)).total_seconds()
    while loop.time() < limit:
        patience = asyncio.timeout_at(limit)
        try:
            async with patience:
                message = await anext(messages)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if not patience.expired():
                raise
            break
        yield message
    raise Unauthenticated("the token has expired: go on with a new one", reason="TOKEN_EXPIRED")


class RequestLog:
    """Layer: one ``rpc.completed`` per unary RPC, ``rpc.opened`` and ``rpc.closed`` per stream, and the metrics."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._handled = prometheus_client.Counter(
            "argo_rpc_handled", "RPCs that ended.", ["method", "code"], registry=registry
        )
        self._seconds = prometheus_client.Histogram(
            "argo_rpc_seconds", "Duration of unary RPCs.", ["method"], registry=registry
        )
        self._open = prometheus_client.Gauge("argo_rpc_open_streams", "Open streams.", ["method"], registry=registry)

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        """Binds the request id for the logs of the handler, and tells it to the caller in the trailing metadata."""
        given = call.metadata.get(REQUEST_ID, "")
        call.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        call.context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        if call.method.startswith(HEALTH):
            yield
            return
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=call.request_id)
        started = time.monotonic()
        if call.streaming:
            log.info("rpc.opened", method=call.method)
            self._open.labels(call.method).inc()
        try:
            yield
        finally:
            self._finish(call, time.monotonic() - started)

    def _finish(self, call: Call, seconds: float) -> None:
        code = _code_name(call)
        fields = {"method": call.method, "code": code, "duration_ms": round(seconds * 1e3, 2)}
        if call.error is not None:
            fields["reason"] = call.error.reason
        if call.streaming:
            self._open.labels(call.method).dec()
            log.info("rpc.closed", **fields)
        else:
            self._seconds.labels(call.method).observe(seconds)
            log.info("rpc.completed", **fields)
        self._handled.labels(call.method, code).inc()


def _code_name(call: Call) -> str:
    if call.error is not None:
        return call.error.code
    task = asyncio.current_task()
    if call.context.cancelled() or (task is not None and task.cancelling()):
        return "CANCELLED"
    code: Any = call.context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "OK"


class _Internal(ArgoError):
    code = "INTERNAL"


@asynccontextmanager
async def answer_errors(call: Call) -> AsyncIterator[None]:
    """Layer: errors become a ``google.rpc.Status``; what is not the caller's business is logged and not told."""
    try:
        yield
        return
    except ArgoError as error:
        call.error = error
    except (grpc.aio.AbortError, asyncio.CancelledError):
        raise
    except grpc.aio.AioRpcError as error:
        call.error = _from_peer(call, error)
    except Exception as error:  # noqa: BLE001 - this is where the unexpected ends: in the log, not with the caller
        call.error = _internal(call, error)
    await call.context.abort_with_status(rpc_status.to_status(to_status(call.error)))


def _from_peer(call: Call, error: grpc.aio.AioRpcError) -> ArgoError:
    if error.code() in _UNREACHABLE:
        return Unavailable("a service that this call needs does not answer", reason="DEPENDENCY_UNAVAILABLE")
    return _internal(call, error)


def _internal(call: Call, error: Exception) -> ArgoError:
    log.error("rpc.failed", method=call.method, error_reason=type(error).__name__, exc_info=error)
    return _Internal("internal error", reason="INTERNAL", metadata={"requestId": call.request_id})


@asynccontextmanager
async def continue_trace(call: Call) -> AsyncIterator[None]:
    """Layer: a unary RPC runs in a span of the caller's trace; a stream carries many traces, in its messages."""
    if call.streaming or call.method.startswith(HEALTH):
        yield
        return
    with tracing.continued(call.metadata, call.method.lstrip("/")):
        yield


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def remaining_seconds() -> float:
    """How long the unary RPC that is being handled may still run; infinite outside of one."""
    return max(0.0, _deadline.get() - time.monotonic())


class DeadlineCap:
    """Layer: no unary RPC runs longer than this, whatever deadline the caller set or forgot."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        """Ends the handler when its time is over.

        Raises:
            DeadlineExceeded: it was.
        """
        if call.streaming:
            yield
            return
        _deadline.set(time.monotonic() + min(self._seconds, call.context.time_remaining() or math.inf))
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"the call took longer than {self._seconds:g} s", reason="DEADLINE_CAP") from None
