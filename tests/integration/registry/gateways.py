"""Gateways at a registry: one that holds leases, one that sends given messages, and who holds what."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from argo.registry.v1 import lease_service_pb2, lease_service_pb2_grpc
from tests.contract.registry.support import Gateway, Registry, Request


@contextlib.asynccontextmanager
async def gateway(registry: Registry, replica: str, capacity: int = 100) -> AsyncIterator[Gateway]:
    async with registry.channel("service/camera-gateway") as channel, Gateway(channel, replica, capacity) as held:
        yield held


async def hold(registry: Registry, *messages: Request) -> lease_service_pb2.HoldLeasesResponse:
    async with registry.channel("service/camera-gateway") as channel:
        stub: Any = lease_service_pb2_grpc.LeaseServiceStub(channel)

        async def requests() -> AsyncIterator[Request]:
            for message in messages:
                yield message

        async for response in stub.HoldLeases(requests()):
            return response  # type: ignore[no-any-return]
    raise AssertionError("the stream ended without a word")


async def devices_by_replica(registry: Registry) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in await registry.pool.fetch("SELECT device, replica FROM leases"):
        found.setdefault(row["replica"], set()).add(row["device"])
    return found
