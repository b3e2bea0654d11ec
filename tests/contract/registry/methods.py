"""Every method of the registry as its contract describes it, and how to call it without knowing which one it is."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

import argo.registry.v1
from tests.contract.registry.support import Refusal, explain


def _services() -> list[Any]:
    """All services of the package, whatever file they are in."""
    found = []
    for module in pkgutil.iter_modules(argo.registry.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"argo.registry.v1.{module.name}").DESCRIPTOR
            found += descriptor.services_by_name.values()
    return found


SERVICES = {service.full_name: service for service in _services()}


def methods_of(*services: str) -> list[Any]:
    """The methods of the services with these full names; without any: of all."""
    return [
        method for name, service in SERVICES.items() if name in (services or SERVICES) for method in service.methods
    ]


def path_of(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


METHODS = {path_of(method): method for method in methods_of()}


def message_of(descriptor: Any) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(descriptor)


@dataclass
class Outcome:
    """How a call went: what it answered, and how it was refused."""

    answers: list[Message] = field(default_factory=list)
    refusal: Refusal | None = None

    @property
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK if self.refusal is None else self.refusal.code

    @property
    def reason(self) -> str:
        return "" if self.refusal is None else self.refusal.reason


async def call(
    channel: grpc.aio.Channel,
    method: Any,
    request: Message | None = None,
    *,
    answers: int = 1,
    patience: float = 20,
    unheard: bool = False,
) -> Outcome:
    """Calls a method.

    Args:
        channel: to its server.
        method: its descriptor.
        request: to send; none: an empty one.
        answers: of a stream, how many are read at most.
        patience: seconds that are waited for each of them.
        unheard: of a stream of requests, send none, because the server refuses before it reads. A write that comes too
            late for a server that has spoken fails, and grpc.aio tells INTERNAL then, in place of what the server said
            (https://github.com/grpc/grpc/issues/36066).
    """
    request_type, response_type = message_of(method.input_type), message_of(method.output_type)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    multicallable: Any = getattr(channel, kind)(
        path_of(method),
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    message = request if request is not None else request_type()
    outcome = Outcome()
    try:
        started = multicallable() if method.client_streaming else multicallable(message)
        if method.client_streaming and not unheard:
            await started.write(message)
        if method.server_streaming:
            await _read(started, outcome, answers, patience)
        else:
            outcome.answers.append(await started)
    except grpc.aio.AioRpcError as error:
        outcome.refusal = explain(error)
    return outcome


async def _read(started: Any, outcome: Outcome, answers: int, patience: float) -> None:
    with contextlib.suppress(TimeoutError):
        while len(outcome.answers) < answers:
            async with asyncio.timeout(patience):
                answer = await started.read()
            if answer is grpc.aio.EOF:
                break
            outcome.answers.append(answer)
    started.cancel()
