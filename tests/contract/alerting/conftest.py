from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from alerting.assembly import Parts, utc_now
from alerting.clients import GatewayClient, Pictures, RegistryClient
from alerting.console.application import console
from alerting.console.board import Board
from alerting.settings import AlertingSettings
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.http import serve_web
from mesh.postgres import Pool
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from mesh.testing import calling, certificate_authority, serving, settings_of
from tests.contract.alerting.peers import TOKEN, WHEP_ORIGIN, Peers
from tests.integration.alerting import support

if TYPE_CHECKING:
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return certificate_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def pool(database: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with support.fresh_pool(database) as pool:
        yield pool


@pytest.fixture
def service_settings(authority: CertificateAuthority) -> AlertingSettings:
    return support.settings(
        authority,
        maximum_watches=3,
        console_token=TOKEN,
        console_operator="rossi",
        open_flows=True,
        whep_origins=(WHEP_ORIGIN,),
    )


@pytest.fixture
def parts(pool: Pool, service_settings: AlertingSettings) -> Parts:
    return support.parts(pool, service_settings)


@pytest.fixture
async def server(parts: Parts, service_settings: AlertingSettings) -> AsyncIterator[GrpcServer]:
    listening = asyncio.create_task(parts.signal.listen())
    async with serving(service_settings, parts.register) as server:
        yield server
        await parts.signal.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture
async def connect(server: GrpcServer, authority: CertificateAuthority) -> AsyncIterator[Connect]:
    """Opens channels for identities; they are closed after the test."""
    async with AsyncExitStack() as stack:

        async def open_as(path: str) -> grpc.aio.Channel:
            return await stack.enter_async_context(
                calling(server, authority, path, peer="service/alerting", settings_type=ServiceSettings)
            )

        yield open_as


@pytest.fixture
async def operator(connect: Connect) -> AlertServiceAsyncStub:
    return AlertServiceStub(await connect("operator/rossi"))


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
async def url(
    parts: Parts, service_settings: AlertingSettings, authority: CertificateAuthority, peers: Peers
) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        channels = {}
        for name, register in peers.servicers().items():
            peer_settings = settings_of(authority, f"service/{name}", ServiceSettings)
            server = await stack.enter_async_context(serving(peer_settings, register))
            channels[name] = await stack.enter_async_context(
                open_channel(server.address, service_settings, peer=f"service/{name}")
            )
        board = Board(
            RegistryClient(channels["registry"]), GatewayClient(channels["camera-gateway"]), parts.coverage, utc_now
        )
        web = console(service_settings, parts, board, Pictures.over(channels["anonymizer"]), utc_now)
        tasks = [
            asyncio.create_task(task)
            for task in (board.follow_registry(), board.follow_gateway(), parts.signal.listen())
        ]
        address = await stack.enter_async_context(serve_web(web, service_settings.web_listen, grace_seconds=0.1))
        yield f"http://{address}"
        await parts.signal.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
