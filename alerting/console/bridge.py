"""Every method of alerting's services over HTTP, made from the contracts' descriptors.

``POST /api/{package.Service}/{Method}`` takes the request as ProtoJSON and answers with the response; what a method
streams comes as server-sent events, one for each message. The servicers are those of gRPC, and so is the decision who
may: that of the method's row.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import grpc
from aiohttp import web
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from alerting.assembly import Parts
from alerting.console.body import read_body
from alerting.console.gate import SESSION, describe_error
from alerting.console.routes import API
from alerting.domain.tokens import invalid
from mesh.access.admission import RightsTaken
from mesh.errors import ArgoError, DeadlineExceeded

_LONGEST_SECONDS: Final = 60.0
"""Of a method that does not stream, as over gRPC."""


class Bridge:
    """Finds the servicers, and calls them."""

    def __init__(self, parts: Parts, clock: Callable[[], datetime]) -> None:
        """Takes what serves, and what tells the time, in UTC."""
        collected = _Collected()
        parts.register(collected)
        self._servicers = collected.servicers
        self._clock = clock

    def routes(self) -> Iterator[web.RouteDef]:
        """One for each method."""
        for name, servicer in self._servicers.items():
            service = descriptor_pool.Default().FindServiceByName(name)
            for method in service.methods:
                handler = self._handler(method, getattr(servicer, method.name))
                yield web.post(f"{API}/{name}/{method.name}", handler)

    def _handler(self, method: MethodDescriptor, serve: Callable[[Any, None], Any]) -> Any:
        request_type = message_factory.GetMessageClass(method.input_type)

        async def answer(request: web.Request) -> web.StreamResponse:
            message = await _read(request, request_type)
            if method.server_streaming:
                return await self._stream(request, serve(message, None))
            try:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    return web.json_response(text=_text(await serve(message, None)))
            except TimeoutError:
                raise DeadlineExceeded("it took too long", reason="DEADLINE_EXCEEDED") from None

        return answer

    async def _stream(self, request: web.Request, messages: Any) -> web.StreamResponse:
        remaining = (request[SESSION].expires - self._clock()).total_seconds()
        async with aclosing(messages):
            # The first message decides whether there is a stream at all: until then an error has a status of its own.
            first = await anext(messages, None)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            # A page that was closed is not an error.
            with contextlib.suppress(ConnectionResetError):
                if first is not None:
                    await response.write(_event("message", _text(first)))
                await _send(messages, response, remaining)
        return response


class _Collected:
    """A server that only takes notice of what it is to serve."""

    def __init__(self) -> None:
        self.servicers: dict[str, object] = {}

    def add(self, _add_to_server: Callable[[Any, grpc.aio.Server], None], servicer: object, full_name: str) -> None:
        self.servicers[full_name] = servicer

    def let_break_glass(self, rights_taken: RightsTaken) -> None:
        """The console's gate knows of broken glass by itself."""


async def _read(request: web.Request, request_type: type[Message]) -> Message:
    """The request of a method; an empty body is an empty one.

    Raises:
        InvalidArgument: it is no ProtoJSON of that type.
    """
    body = await read_body(request) if request.can_read_body else {}
    try:
        return json_format.ParseDict(body, request_type())
    except json_format.ParseError as error:
        raise invalid("body", f"is no {request_type.DESCRIPTOR.full_name} as JSON: {error}") from None


async def _send(messages: AsyncIterator[Message], response: web.StreamResponse, seconds: float) -> None:
    """Sends messages until there are no more, the session ends or the stream breaks, and says which."""
    try:
        async with asyncio.timeout(seconds):
            async for message in messages:
                await response.write(_event("message", _text(message)))
        await response.write(_event("end", "{}"))
    except TimeoutError:
        await response.write(_event("signed-out", "{}"))
    except ArgoError as error:
        await response.write(_event("broken", json.dumps(describe_error(error))))


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _text(message: Message) -> str:
    return json_format.MessageToJson(message, indent=None)
