from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1 import gateway_service_pb2_grpc
from mesh.rpc.status import from_rpc_error
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, optic, refusing
from tests.contract.camera_gateway.gateway import NOWHERE, session_when, world
from tests.contract.streams import next_message

if TYPE_CHECKING:
    from pathlib import Path

Session = gateway.Session


async def test_sessions_are_listed_in_pages(tmp_path: Path) -> None:
    async with world(tmp_path) as running, running.caller() as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        running.registry.grant(device_lease(NOWHERE, *(optic(name) for name in ("a", "b", "c"))))
        await session_when(running, lambda session: session.optic.endswith("c"))

        first = await stub.ListSessions(gateway.ListSessionsRequest(page_size=2))
        second = await stub.ListSessions(gateway.ListSessionsRequest(page_size=2, page_token=first.next_page_token))

    assert [session.optic for session in first.sessions] == [f"{DEVICE}/optics/a", f"{DEVICE}/optics/b"]
    assert [session.optic for session in second.sessions] == [f"{DEVICE}/optics/c"]
    assert second.next_page_token == ""


async def test_a_negative_page_size_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as running, running.caller() as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        with refusing() as caught:
            await stub.ListSessions(gateway.ListSessionsRequest(page_size=-1))

    error = from_rpc_error(caught.error)
    assert caught.error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "PAGE_SIZE_NEGATIVE"
    assert error.violations[0].field == "page_size"


async def test_a_watch_shows_only_the_optics_that_were_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as running, running.caller() as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        running.registry.grant(device_lease(NOWHERE, optic("a"), optic("b")))
        watch = stub.WatchSessions(gateway.WatchSessionsRequest(optics=[f"{DEVICE}/optics/b"]))
        updates = [await next_message(watch, gateway.WatchSessionsResponse) for _ in range(3)]

    assert {session.optic for update in updates for session in update.sessions} == {f"{DEVICE}/optics/b"}


@pytest.mark.parametrize("method", ["ListSessions", "WatchSessions"])
async def test_an_authority_may_not_see_the_sessions(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as running, running.caller("authority/city") as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        with refusing() as caught:
            if method == "ListSessions":
                await stub.ListSessions(gateway.ListSessionsRequest())
            else:
                await stub.WatchSessions(gateway.WatchSessionsRequest()).read()

    assert caught.error.code() == grpc.StatusCode.PERMISSION_DENIED
