"""What the registry says is held, over a real server: whatever cannot be relied on is no leave to erase."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from anonymizer.clients import HoldsClient
from anonymizer.domain.holding import Holds
from argo.registry.v1 import hold_service_pb2 as pb
from argo.registry.v1 import hold_service_pb2_grpc
from mesh.errors import Unavailable
from mesh.settings import ServiceSettings
from mesh.testing import calling, serving, settings_of

if TYPE_CHECKING:
    from mesh.authority import CertificateAuthority
    from mesh.rpc.server import GrpcServer

OPTIC = "devices/piazza-1/optics/north"


class Registry(hold_service_pb2_grpc.HoldServiceServicer):
    """Gives the same pages again and again."""

    def __init__(self, *pages: pb.ListHeldIntervalsResponse) -> None:
        self._pages = itertools.cycle(pages)

    async def ListHeldIntervals(self, _request: Any, context: Any) -> pb.ListHeldIntervalsResponse:  # noqa: N802
        page = next(self._pages, None)
        if page is None:
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
            raise AssertionError
        return page


def registry(*pages: pb.ListHeldIntervalsResponse) -> Registry:
    return Registry(*pages)  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED


@asynccontextmanager
async def asking(authority: CertificateAuthority, answering: Registry) -> AsyncIterator[HoldsClient]:
    def register(server: GrpcServer) -> None:
        add = hold_service_pb2_grpc.add_HoldServiceServicer_to_server
        server.add(add, answering, "argo.registry.v1.HoldService")

    async with (
        serving(settings_of(authority, "service/registry", ServiceSettings), register) as server,
        calling(
            server, authority, "service/anonymizer", peer="service/registry", settings_type=ServiceSettings
        ) as channel,
    ):
        yield HoldsClient(channel)


def held(**without: bool) -> pb.HeldInterval:
    message = pb.HeldInterval(hold="holds/1", optic=OPTIC)
    message.interval.start_time.seconds = 1_000
    message.interval.end_time.seconds = 2_000
    message.expire_time.seconds = 3_000
    for field in without:
        (message.interval if field in ("start_time", "end_time") else message).ClearField(field)  # type: ignore[arg-type]
    return message


def page(*intervals: pb.HeldInterval, token: str = "") -> pb.ListHeldIntervalsResponse:
    return pb.ListHeldIntervalsResponse(held_intervals=intervals, next_page_token=token)


def far_away() -> pb.HeldInterval:
    message = held()
    message.expire_time.seconds = 2**62
    return message


async def test_all_pages_are_read(authority: CertificateAuthority) -> None:
    second = held()
    second.hold = "holds/2"
    async with asking(authority, registry(page(held(), token="1"), page(second))) as client:
        holds = await client.read()

    assert {interval.hold for interval in holds.intervals} == {"holds/1", "holds/2"}


async def test_that_nothing_is_held_is_an_answer(authority: CertificateAuthority) -> None:
    async with asking(authority, registry(page())) as client:
        assert await client.read() == Holds()


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([], id="an error"),
        pytest.param([page(held(), held(expire_time=True))], id="no end of the hold"),
        pytest.param([page(held(start_time=True))], id="no beginning"),
        pytest.param([page(held(end_time=True))], id="no end"),
        pytest.param([page(held(optic=True))], id="no optic"),
        pytest.param([page(far_away())], id="a time that is none"),
        pytest.param([page(held(), token="again")], id="pages without end"),
    ],
)
async def test_an_answer_that_cannot_be_relied_on_is_none(
    authority: CertificateAuthority, pages: list[pb.ListHeldIntervalsResponse]
) -> None:
    async with asking(authority, registry(*pages)) as client:
        with pytest.raises(Unavailable) as caught:
            await client.read()

    assert caught.value.reason == "HOLDS_UNKNOWN"
