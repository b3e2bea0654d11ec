from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from mesh.authority import CertificateAuthority
    from mesh.rpc.server import GrpcServer

SERVICE = "argo.test.v1.EchoService"


class Echo:
    """A servicer without generated code; a test sets what its methods do."""

    def __init__(self) -> None:
        self.get: Callable[[StringValue, Any], Awaitable[StringValue]] = self._repeat
        self.watch: Callable[[StringValue, Any], Any] = self._repeat_twice

    async def _repeat(self, request: StringValue, _context: Any) -> StringValue:
        return request

    async def _repeat_twice(self, request: StringValue, _context: Any) -> Any:
        yield request
        yield request

    async def exchange(self, requests: Any, _context: Any) -> Any:
        async for request in requests:
            yield request

    def register(self, server: GrpcServer) -> None:
        server.add(add_echo_to_server, self, SERVICE)
        server.open(
            {
                f"/{SERVICE}/GetEcho": ("service/*", "operator/*"),
                f"/{SERVICE}/CreateEcho": ("service/*",),
                f"/{SERVICE}/WatchEcho": ("service/*",),
                f"/{SERVICE}/Exchange": ("service/*",),
            }
        )


def add_echo_to_server(servicer: Echo, server: grpc.aio.Server) -> None:
    codec = (StringValue.FromString, StringValue.SerializeToString)

    async def get(request: StringValue, context: Any) -> StringValue:
        return await servicer.get(request, context)

    def watch(request: StringValue, context: Any) -> Any:
        return servicer.watch(request, context)

    handlers = {
        "GetEcho": grpc.unary_unary_rpc_method_handler(get, *codec),
        "CreateEcho": grpc.unary_unary_rpc_method_handler(get, *codec),
        "Unlisted": grpc.unary_unary_rpc_method_handler(get, *codec),
        "WatchEcho": grpc.unary_stream_rpc_method_handler(watch, *codec),
        "Exchange": grpc.stream_stream_rpc_method_handler(servicer.exchange, *codec),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class EchoStub:
    """What the generated code would give."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        codec = (StringValue.SerializeToString, StringValue.FromString)
        self.get = channel.unary_unary(f"/{SERVICE}/GetEcho", *codec)
        self.create = channel.unary_unary(f"/{SERVICE}/CreateEcho", *codec)
        self.unlisted = channel.unary_unary(f"/{SERVICE}/Unlisted", *codec)
        self.watch = channel.unary_stream(f"/{SERVICE}/WatchEcho", *codec)
        self.exchange = channel.stream_stream(f"/{SERVICE}/Exchange", *codec)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return testing.certificate_authority(tmp_path / "tls")


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def stub_of() -> type[EchoStub]:
    return EchoStub


@pytest.fixture
async def server(authority: CertificateAuthority, echo: Echo) -> AsyncIterator[GrpcServer]:
    async with testing.serving(testing.settings_of(authority, PEER, ServiceSettings), echo.register) as running:
        yield running


@pytest.fixture
async def stub(server: GrpcServer, authority: CertificateAuthority, stub_of: type[EchoStub]) -> AsyncIterator[EchoStub]:
    caller = "service/detector"
    async with testing.calling(server, authority, caller, peer=PEER, settings_type=ServiceSettings) as channel:
        yield stub_of(channel)
