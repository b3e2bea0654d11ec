"""The server beside its services: health, reflection, its port."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import prometheus_client
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.errors import StartupError
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER


async def test_health_is_not_serving_until_told_and_while_draining(authority: CertificateAuthority, echo: Any) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    server = GrpcServer(settings, prometheus_client.CollectorRegistry())
    echo.register(server)
    await server.start()
    status = health_pb2.HealthCheckResponse
    async with testing.calling(server, authority, "system/probe", peer=PEER, settings_type=ServiceSettings) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def check() -> list[Any]:
            names = ("", "argo.test.v1.EchoService")
            return [(await health.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]

        with structlog.testing.capture_logs() as logs:
            cold = await check()
            await server.serving()
            warm = await check()
            watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
            seen = [(await watch.read()).status]
            await server.drain()
            seen.append((await watch.read()).status)
            draining = await check()
            watch.cancel()
    await server.stop(0)

    assert cold == [status.NOT_SERVING] * 2
    assert warm == [status.SERVING] * 2
    assert seen == [status.SERVING, status.NOT_SERVING]
    assert draining == [status.NOT_SERVING] * 2
    assert logs == []


async def test_reflection_lists_the_services(server: GrpcServer, authority: CertificateAuthority) -> None:
    files = authority.issue("administrator/mrossi")
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()
    )

    def listed() -> list[str]:
        with grpc.secure_channel(server.address, credentials) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert "argo.test.v1.EchoService" in await asyncio.to_thread(listed)
    assert "grpc.health.v1.Health" in await asyncio.to_thread(listed)


async def test_a_taken_port_is_told_plainly(server: GrpcServer, authority: CertificateAuthority) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings, grpc_listen=server.address)
    second = GrpcServer(settings, prometheus_client.CollectorRegistry())

    with pytest.raises(StartupError, match=r"cannot listen on 127\.0\.0\.1") as caught:
        await second.start()

    assert "another port" in caught.value.remedy
