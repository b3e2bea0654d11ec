"""Calls that are answered, tried again, waited for, and ended."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import prometheus_client
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.errors import Unavailable
from mesh.rpc.channel import open_channel, wait_until_ready
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER, details_of, failure_of


async def test_unary_and_streams_answer(stub: Any) -> None:
    request = StringValue(value="x")

    assert await stub.get(request) == request
    assert [message async for message in stub.watch(request)] == [request, request]
    assert [message async for message in stub.exchange(iter([request, request, request]))] == [request] * 3


async def test_a_message_of_a_raw_4k_frame_passes(stub: Any) -> None:
    frame = StringValue(value="y" * (3840 * 2160 * 3 // 2))

    assert len((await stub.get(frame)).value) == len(frame.value)


async def test_reading_calls_are_tried_again_while_the_peer_restarts(
    authority: CertificateAuthority, echo: Any, stub_of: Any
) -> None:
    calls = []

    async def unavailable_twice(request: StringValue, _context: Any) -> StringValue:
        calls.append(request)
        if len(calls) < 3:
            raise Unavailable("warming up", reason="WARMING_UP")
        return request

    echo.get = unavailable_twice
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as server,
        testing.calling(server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        stub = stub_of(channel)
        answer = await stub.get(StringValue(value="x"))
        calls.clear()
        error = await failure_of(stub.create(StringValue(value="x")))

    assert answer.value == "x"
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert len(calls) == 1, "a call that changes something is not repeated behind the caller's back"


async def test_a_unary_call_ends_at_the_cap(authority: CertificateAuthority, echo: Any, stub_of: Any) -> None:
    async def never(_request: StringValue, _context: Any) -> StringValue:
        await asyncio.Event().wait()
        raise AssertionError

    echo.get = never
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    server = GrpcServer(settings, prometheus_client.CollectorRegistry(), unary_deadline_seconds=0.05)
    echo.register(server)
    await server.start()
    async with testing.calling(
        server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings
    ) as channel:
        error = await failure_of(stub_of(channel).create(StringValue(), timeout=60))
    await server.stop(0)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert details_of(error)[0].reason == "DEADLINE_CAP"


async def test_waiting_for_a_peer_that_is_not_there_ends(authority: CertificateAuthority) -> None:
    settings = testing.settings_of(authority, "service/detector", ServiceSettings)
    async with open_channel("127.0.0.1:1", settings, peer=PEER) as channel:
        with pytest.raises(Unavailable) as caught:
            await wait_until_ready(channel, 0.2)

    assert caught.value.reason == "PEER_UNREACHABLE"
