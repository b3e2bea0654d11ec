"""Whose counts are for whom: what is counted under D.Lgs. 51/2018, or for somebody else, is not for traffic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest

from alerting.assembly import Parts
from alerting.domain.flows.places import Site
from argo.alerting.v1.flow_service_pb2_grpc import FlowServiceStub, OpenFlowServiceStub
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.contract.alerting import test_open_flows as open_side
from tests.contract.alerting.test_flow_service import question, watching
from tests.integration.alerting.flow_support import GATE, SITE, count_for, crossed, recent
from tests.integration.alerting.support import OPTIC, count

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

START = recent()
CITY = Site(GATE, OPTIC, SITE, controller="controllers/city", law_enforcement=False)
YARD, SHOP, UNSAID = (f"devices/{device}/optics/main" for device in ("yard", "shop", "unsaid"))
HIDDEN = {
    "under D.Lgs. 51/2018": replace(CITY, place=f"{YARD}/lines/door", optic=YARD, law_enforcement=True),
    "of somebody else": replace(CITY, place=f"{SHOP}/lines/door", optic=SHOP, controller="controllers/shop"),
}
UNKNOWN = f"{UNSAID}/lines/door"
TRAFFIC = ["system/traffic", "mobility/bianchi", "administrator/neri"]
EVERY_LINE = {GATE, UNKNOWN, *(site.place for site in HIDDEN.values())}


@pytest.fixture
async def counted(parts: Parts) -> None:
    """The same crowd everywhere; of one line the registry has not said anything."""
    await parts.flows.store.register_places([CITY, *HIDDEN.values()])
    for optic, line in ((OPTIC, GATE), *((site.optic, site.place) for site in HIDDEN.values()), (UNSAID, UNKNOWN)):
        await count_for(parts, START, 5, crossed(4, line=line), optic=optic)


async def refused(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def places(answer: Any) -> set[str]:
    return {flow.place for flow in answer.flows}


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("who", TRAFFIC)
async def test_who_is_there_for_traffic_sees_the_citys_cameras_under_the_gdpr(connect: Connect, who: str) -> None:
    stub = FlowServiceStub(await connect(who))

    assert places(await stub.ListFlows(question(START, minutes=5))) == {GATE}
    # Nor in a site's list, nor in its sum.
    assert places(await stub.ListFlows(question(START, minutes=5, sites=[SITE]))) == {GATE}
    (together, _persons) = (await stub.ListFlows(question(START, minutes=5, places=[SITE]))).flows
    assert together.figures.counted == 20


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("place", sorted(EVERY_LINE - {GATE}))
async def test_what_is_out_of_sight_is_not_there(connect: Connect, place: str) -> None:
    stub = FlowServiceStub(await connect("system/traffic"))
    nowhere = f"{OPTIC}/lines/nowhere"
    for ask in (lambda name: stub.ListFlows(question(START, places=[name])),
                lambda name: stub.WatchFlows(watching(places=[name])).read()):  # fmt: skip
        hidden, missing = await refused(ask(place)), await refused(ask(nowhere))

        assert (hidden.code, hidden.reason) == (missing.code, missing.reason) == ("NOT_FOUND", "FLOW_PLACE_NOT_FOUND")
        assert hidden.message.replace(place, nowhere) == missing.message


@pytest.mark.usefixtures("counted")
async def test_the_control_room_sees_all_of_it(connect: Connect) -> None:
    answer = await FlowServiceStub(await connect("operator/rossi")).ListFlows(question(START, minutes=5))

    assert places(answer) == EVERY_LINE


@pytest.mark.usefixtures("counted")
async def test_a_token_of_the_control_room_opens_nothing_to_others(connect: Connect) -> None:
    inside = FlowServiceStub(await connect("operator/rossi"))
    token = (await inside.ListFlows(question(START, minutes=5, page_size=1))).next_page_token
    outside = FlowServiceStub(await connect("system/traffic"))

    rest = await outside.ListFlows(question(START, minutes=5, page_token=token, page_size=100))

    assert places(rest) <= {GATE}


async def test_nothing_of_it_is_published(connect: Connect, parts: Parts, pool: Pool) -> None:
    await parts.flows.store.register_places(HIDDEN.values())  # type: ignore[arg-type]
    for site in HIDDEN.values():
        await count_for(parts, open_side.START, 5, crossed(30, line=site.place), optic=site.optic)
    await count_for(parts, open_side.START, 5, crossed(30))
    await open_side.release(parts)
    stub = OpenFlowServiceStub(await connect("system/anybody"))

    answer = await stub.ListFlows(open_side.question(page_size=1000))

    assert places(answer) == {site.place for site in open_side.PLACES}
    assert await count(pool, "open_flows") == 1
    for site in HIDDEN.values():
        error = await refused(stub.ListFlows(open_side.question(places=[site.place])))
        assert error.reason == "FLOW_PLACE_NOT_FOUND"


async def test_a_camera_that_becomes_one_of_law_enforcement_is_out_of_sight_from_then_on(
    connect: Connect, parts: Parts
) -> None:
    stub = FlowServiceStub(await connect("system/traffic"))
    await parts.flows.store.register_places([CITY])
    await count_for(parts, START, 5, crossed(4))
    assert places(await stub.ListFlows(question(START, minutes=5))) == {GATE}

    await parts.flows.store.register_places([replace(CITY, law_enforcement=True)])

    assert places(await stub.ListFlows(question(START, minutes=5))) == set()
