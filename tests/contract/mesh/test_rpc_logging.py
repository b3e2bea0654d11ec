"""What is logged of a call, and the request id that follows it."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER


async def test_every_unary_call_is_one_line_in_the_log(stub: Any) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await stub.get(StringValue())

    assert [entry["event"] for entry in logs] == ["rpc.completed"]
    assert logs[0]["method"] == "/argo.test.v1.EchoService/GetEcho"
    assert logs[0]["code"] == "OK"
    assert logs[0]["principal"] == "service/detector"
    assert len(logs[0]["request_id"]) == 32


async def test_streams_log_their_opening_and_their_end(stub: Any, echo: Any) -> None:
    async def endless(request: StringValue, _context: Any) -> Any:
        while True:
            yield request
            await asyncio.sleep(0.01)

    echo.watch = endless
    with structlog.testing.capture_logs() as logs:
        call = stub.watch(StringValue())
        await call.read()
        call.cancel()
        async with asyncio.timeout(10):
            while not any(entry["event"] == "rpc.closed" for entry in logs):
                await asyncio.sleep(0.01)

    assert [entry["event"] for entry in logs] == ["rpc.opened", "rpc.closed"]
    assert logs[1]["code"] == "CANCELLED"
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_request_id_follows_a_call_to_the_next_service(
    authority: CertificateAuthority, echo: Any, stub_of: Any
) -> None:
    seen = []

    async def note(request: StringValue, context: Any) -> StringValue:
        seen.append(dict(context.invocation_metadata())["x-request-id"])
        return request

    echo.get = note
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as server,
        testing.calling(server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        with structlog.contextvars.bound_contextvars(request_id="from-the-first"):
            await stub_of(channel).get(StringValue())

    assert seen == ["from-the-first"]
