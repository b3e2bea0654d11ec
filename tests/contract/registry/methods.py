"""Every method of the registry as its contract describes it, and how to call it without knowing which one it is."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator
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
    channel: grpc.aio.Channel, method: Any, request: Message | None = None, *, answers: int = 1, patience: float = 20
) -> Outcome:
    """Calls a method; of a stream reads at most ``answers``, each for at most ``patience`` seconds."""
    request_type, response_type = message_of(method.input_type), message_of(method.output_type)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    multicallable: Any = getattr(channel, kind)(
        path_of(method),
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    message = request if request is not None else request_type()

    async def requests() -> AsyncIterator[Message]:
        yield message

    started = multicallable(requests() if method.client_streaming else message)
    outcome = Outcome()
    try:
        if method.server_streaming:
            with contextlib.suppress(TimeoutError):
                while len(outcome.answers) < answers:
                    async with asyncio.timeout(patience):
                        answer = await started.read()
                    if answer is grpc.aio.EOF:
                        break
                    outcome.answers.append(answer)
            started.cancel()
        else:
            outcome.answers.append(await started)
    except grpc.aio.AioRpcError as error:
        outcome.refusal = explain(error)
    return outcome
