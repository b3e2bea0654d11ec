"""Who may call which method."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.identity import current_identity
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER, details_of, failure_of


async def test_the_handler_knows_the_caller(stub: Any, echo: Any) -> None:
    async def tell(_request: StringValue, _context: Any) -> StringValue:
        return StringValue(value=current_identity().uri)

    async def tell_twice(_request: StringValue, _context: Any) -> Any:
        yield StringValue(value=current_identity().path)
        await asyncio.sleep(0)
        yield StringValue(value=current_identity().path)

    echo.get, echo.watch = tell, tell_twice

    assert (await stub.get(StringValue())).value == "spiffe://argo.local/service/detector"
    assert [message.value async for message in stub.watch(StringValue())] == ["service/detector"] * 2


async def test_a_method_that_no_policy_lists_is_refused(stub: Any) -> None:
    error = await failure_of(stub.unlisted(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert details_of(error)[0].reason == "METHOD_NOT_ALLOWED"


async def test_an_identity_outside_the_policy_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    caller = "operator/mrossi"
    async with testing.calling(server, authority, caller, peer=PEER, settings_type=ServiceSettings) as channel:
        stub = stub_of(channel)

        assert await stub.get(StringValue(value="x")) == StringValue(value="x")
        error = await failure_of(stub.create(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "mrossi" not in (error.details() or "")


async def test_another_trust_domain_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    # Signed by the very authority that the server trusts, so that only the domain is wrong.
    authority.trust_domain = "elsewhere.example"
    async with testing.calling(
        server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings
    ) as channel:
        error = await failure_of(stub_of(channel).get(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert details_of(error)[0].reason == "TRUST_DOMAIN_MISMATCH"
