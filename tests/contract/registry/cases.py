"""People who take legal holds and requests for cameras through their steps."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from types import ModuleType
from typing import Any

from argo.registry.v1 import (
    hold_service_pb2,
    hold_service_pb2_grpc,
    placement_service_pb2,
    placement_service_pb2_grpc,
)
from tests.contract.registry.support import Registry

HOLDS = (hold_service_pb2, hold_service_pb2_grpc.HoldServiceStub)
PLACEMENTS = (placement_service_pb2, placement_service_pb2_grpc.PlacementServiceStub)
WHY = "richiesta della Procura"
OPTIC = "devices/palo-12/optics/nord"
SITE = "sites/alimonda"


class Person:
    """Calls the methods of one service with keyword arguments; says why where a method asks for it."""

    def __init__(self, stub: Any, messages: ModuleType) -> None:
        self._stub, self._messages = stub, messages

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            request_type = getattr(self._messages, f"{method}Request")
            if "reason" in request_type.DESCRIPTOR.fields_by_name:
                arguments.setdefault("reason", WHY)
            return getattr(self._stub, method)(request_type(**arguments))

        return call


class People:
    """Everybody who calls one service; a person's channel is opened when it first calls."""

    def __init__(self, registry: Registry, service: tuple[ModuleType, Any], stack: contextlib.AsyncExitStack) -> None:
        self._registry, self._service, self._stack = registry, service, stack
        self._known: dict[str, Person] = {}

    async def __call__(self, identity: str) -> Person:
        if identity not in self._known:
            messages, stub = self._service
            channel = await self._stack.enter_async_context(self._registry.channel(identity))
            self._known[identity] = Person(stub(channel), messages)
        return self._known[identity]


@contextlib.asynccontextmanager
async def people(registry: Registry, service: tuple[ModuleType, Any]) -> AsyncIterator[People]:
    async with contextlib.AsyncExitStack() as stack:
        yield People(registry, service, stack)


def hold(start: datetime, end: datetime, expire: datetime, *, scope: str = OPTIC) -> hold_service_pb2.Hold:
    record = hold_service_pb2.Hold(scope=scope, authority="Procura di Torino", act="RGNR 4711/2026")
    record.interval.start_time.FromDatetime(start)
    record.interval.end_time.FromDatetime(end)
    record.expire_time.FromDatetime(expire)
    return record


def placement(**changes: Any) -> placement_service_pb2.PlacementRequest:
    known: dict[str, Any] = {
        "requester": "comitato Alimonda", "site": SITE, "reason": "risse serali",
        "measures": [placement_service_pb2.PlacementRequest.MEASURE_MOBILE_CAMERA],
    }  # fmt: skip
    return placement_service_pb2.PlacementRequest(**(known | changes))
