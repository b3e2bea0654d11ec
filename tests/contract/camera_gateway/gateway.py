"""The whole gateway, as its composition root builds it, between far ends that a test controls."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1 import gateway_service_pb2_grpc
from camera_gateway.__main__ import compose
from camera_gateway.settings import GatewaySettings
from mesh.lifecycle import Application
from mesh.local.ports import PortReservations
from mesh.rpc.channel import open_channel
from mesh.settings import ServiceSettings
from mesh.testing import certificate_authority, serving, settings_of
from tests.contract.camera_gateway.far_ends import (
    Anonymizer,
    Detector,
    Registry,
    eventually,
    register_anonymizer,
    register_detector,
    register_registry,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import grpc

    from mesh.authority import CertificateAuthority
    from mesh.rpc.server import GrpcServer

NOWHERE = "127.0.0.1:1"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@dataclasses.dataclass
class World:
    """A gateway and its far ends; each far end can be closed and opened again on its port."""

    authority: CertificateAuthority
    detector: Detector
    anonymizer: Anonymizer
    registry: Registry
    application: Application[GatewaySettings]
    web: str
    ports: dict[str, int]
    servers: dict[str, AsyncExitStack]

    async def open(self, name: str) -> None:
        register = {
            "detector": register_detector(self.detector),
            "anonymizer": register_anonymizer(self.anonymizer),
            "registry": register_registry(self.registry),
        }[name]
        settings = settings_of(
            self.authority, f"service/{name}", ServiceSettings, grpc_listen=f"127.0.0.1:{self.ports[name]}"
        )
        stack = AsyncExitStack()
        await stack.enter_async_context(serving(settings, register))
        self.servers[name] = stack

    async def close(self, name: str) -> None:
        await self.servers.pop(name).aclose()

    @asynccontextmanager
    async def caller(self, identity: str = "operator/rossi") -> AsyncIterator[grpc.aio.Channel]:
        settings = settings_of(self.authority, identity, ServiceSettings)
        server: GrpcServer = self.application.grpc
        async with open_channel(server.address, settings, peer="service/camera-gateway") as channel:
            yield channel


@asynccontextmanager
async def world(folder: Path, **values: Any) -> AsyncIterator[World]:
    """The gateway running; ``values`` are more of its settings."""
    with PortReservations(folder / "ports.json") as reserved:
        async with _running(folder, reserved, values) as running:
            yield running


@asynccontextmanager
async def _running(folder: Path, reserved: PortReservations, values: dict[str, Any]) -> AsyncIterator[World]:
    authority = certificate_authority(folder / "authority")
    ports = {name: reserved.reserve(name) for name in ("detector", "anonymizer", "registry")}
    web = reserved.address("web")
    fields: dict[str, Any] = {
        **{name: f"127.0.0.1:{port}" for name, port in ports.items()},
        "nats_url": f"nats://{NOWHERE}",
        "camera_networks": (LOOPBACK,),
        "web_listen": web,
        "replica": "gateway-1",
        "heartbeat_rate": 5.0,
        "verdict_seconds": 5.0,
        "shutdown_grace_seconds": 2.0,
        **values,
    }
    settings = settings_of(authority, "service/camera-gateway", GatewaySettings, **fields)
    application = Application("camera-gateway", settings)
    running = World(authority, Detector(), Anonymizer(), Registry(), application, web, ports, {})
    for name in ports:
        await running.open(name)
    task = asyncio.create_task(application.run(compose))
    try:
        await eventually(lambda: application._ready or task.done())
        if task.done():
            await task
        yield running
    finally:
        application.stopping.set()
        await task
        for name in list(running.servers):
            await running.close(name)


async def session_when(running: World, condition: Callable[[gateway.Session], bool]) -> gateway.Session:
    """The gateway's first session, as its API shows it, once ``condition`` holds."""
    async with running.caller() as channel, asyncio.timeout(60):
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        async for update in stub.WatchSessions(gateway.WatchSessionsRequest()):
            for session in update.sessions:
                if condition(session):
                    return session
    raise AssertionError("the watch ended")
