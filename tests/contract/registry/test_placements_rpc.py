"""Requests for cameras and light over loopback mTLS against a real PostgreSQL."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from argo.registry.v1 import placement_service_pb2
from tests.contract.registry import cases
from tests.contract.registry.cases import PLACEMENTS, WHY, People
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode
PlacementRequest = placement_service_pb2.PlacementRequest
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPERATOR, ADMINISTRATOR = "operator/mrossi", "administrator/gverdi"
DEPLOYMENT = "devices/carro-1/deployments/alimonda"
STATES = {name.removeprefix("STATE_"): value for name, value in PlacementRequest.State.items() if value}
ROAD = ("PROPOSED", "ASSESSED", "DECIDED", "DEPLOYED")


@pytest.fixture
async def people(registry: Registry, administrator: Administrator) -> AsyncIterator[People]:
    """With a site, and a mobile device that has stood there since an hour ago."""
    await administrator.CreateSite(site_id="alimonda", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device(address="10.0.0.99"))
    now = registry.clock.now
    stay = lawful.deployment(now - HOUR, now + DAY)
    await administrator.CreateDeployment(parent="devices/carro-1", deployment_id="alimonda", deployment=stay)
    async with cases.people(registry, PLACEMENTS) as everybody:
        yield everybody


async def propose(people: People, request_id: str = "alimonda", *, by: str = OPERATOR, **changes: Any) -> Any:
    record = cases.placement(**changes)
    return await (await people(by)).CreatePlacementRequest(placement_request_id=request_id, placement_request=record)


def papers(registry: Registry, state: str) -> dict[str, Any]:
    if state == "DECIDED":
        return {"decision": "COSP 91/2026", "decision_time": registry.clock.now - 2 * HOUR}
    return {"deployment": DEPLOYMENT} if state == "DEPLOYED" else {}


async def advance(people: People, name: str, state: str, **arguments: Any) -> Any:
    administrator = await people(arguments.pop("by", ADMINISTRATOR))
    return await administrator.AdvancePlacementRequest(name=name, state=STATES[state], **arguments)


async def brought_to(people: People, registry: Registry, state: str, **changes: Any) -> Any:
    """A request in that state."""
    request = await propose(people, **changes)
    road = ROAD[1 : ROAD.index(state) + 1] if state in ROAD else ("REFUSED",)
    for each in road:
        request = await advance(people, request.name, each, **papers(registry, each))
    return request


async def test_a_request_from_its_proposal_to_the_camera(registry: Registry, people: People) -> None:
    request = await brought_to(people, registry, "DEPLOYED")

    assert request.name == "placementRequests/alimonda"
    assert request.controller == "controllers/city"
    assert (request.decision, request.deployment) == ("COSP 91/2026", DEPLOYMENT)
    assert [(step.state, step.actor, step.reason) for step in request.steps] == [
        (STATES["PROPOSED"], OPERATOR, "risse serali"), (STATES["ASSESSED"], ADMINISTRATOR, WHY),
        (STATES["DECIDED"], ADMINISTRATOR, WHY), (STATES["DEPLOYED"], ADMINISTRATOR, WHY),
    ]  # fmt: skip
    assert await (await people("auditor/dpo")).GetPlacementRequest(name=request.name) == request


@pytest.mark.parametrize(("state", "target"), list(itertools.product(STATES, STATES)))
async def test_every_step_from_every_state(registry: Registry, people: People, state: str, target: str) -> None:
    before = await brought_to(people, registry, state)
    open_states = ("PROPOSED", "ASSESSED", "DECIDED")
    allowed = (state, target) in itertools.pairwise(ROAD) or (state in open_states and target == "REFUSED")

    call = advance(people, before.name, target, **papers(registry, target))

    if allowed:
        after = await call
        assert (after.state, len(after.steps)) == (STATES[target], len(before.steps) + 1)
        return
    refusal = await refusal_of(call)
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "STEP_NOT_ALLOWED")
    assert refusal.metadata == {
        "placementRequest": before.name, "state": f"STATE_{state}", "asked": f"STATE_{target}",
    }  # fmt: skip
    assert await (await people(OPERATOR)).GetPlacementRequest(name=before.name) == before


async def test_papers(registry: Registry, people: People) -> None:
    request = await brought_to(people, registry, "ASSESSED")
    refusal = await refusal_of(advance(people, request.name, "DECIDED"))
    assert (refusal.code, refusal.fields) == (Code.INVALID_ARGUMENT, ["decision", "decision_time"])
    await advance(people, request.name, "DECIDED", **papers(registry, "DECIDED"))
    assert (await refusal_of(advance(people, request.name, "DEPLOYED"))).fields == ["deployment"]


async def test_light_needs_no_deployment(registry: Registry, people: People) -> None:
    request = await brought_to(people, registry, "DECIDED", measures=[PlacementRequest.MEASURE_LIGHTING])

    assert (await advance(people, request.name, "DEPLOYED")).state == STATES["DEPLOYED"]


async def test_the_camera_has_to_answer_the_request(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    await administrator.CreateSite(site_id="montanaro", site=lawful.site())
    now = registry.clock.now
    for name, site, start in (("before", "alimonda", -4 * HOUR), ("elsewhere", "montanaro", 2 * DAY)):
        stay = lawful.deployment(now + start, now + start + HOUR, site=f"sites/{site}")
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id=name, deployment=stay)
    request = await brought_to(people, registry, "DECIDED")

    for name, message in (("none", "not exist"), ("before", "before the decision"), ("elsewhere", "another site")):
        given = f"devices/carro-1/deployments/{name}"
        refusal = await refusal_of(advance(people, request.name, "DEPLOYED", deployment=given))
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "DEPLOYMENT_NOT_MATCHING")
        assert (message in refusal.message, refusal.metadata) == (True, {"deployment": given})


async def test_everything_that_is_wrong_is_told_at_once(registry: Registry, people: People) -> None:
    operator, administrator = await people(OPERATOR), await people(ADMINISTRATOR)
    refusal = await refusal_of(operator.CreatePlacementRequest(placement_request_id="X", request_id="no uuid"))
    assert refusal.fields == [
        "placement_request_id", "request_id", "placement_request.requester", "placement_request.site",
        "placement_request.reason", "placement_request.measures",
    ]  # fmt: skip
    twice = cases.placement(measures=[1, 1])
    refusal = await refusal_of(operator.CreatePlacementRequest(placement_request_id="x", placement_request=twice))
    assert refusal.fields == ["placement_request.measures"]
    refusal = await refusal_of(
        administrator.AdvancePlacementRequest(name="x", state=99, reason="", decision="\n", deployment="x")
    )
    assert refusal.fields == ["name", "state", "decision", "deployment", "reason"]
    refusal = await refusal_of(propose(people, site="sites/none"))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "SITE_NOT_FOUND")


async def test_what_a_request_cannot_set_is_ignored(registry: Registry, people: People) -> None:
    request = await propose(people, state=STATES["DEPLOYED"], decision="COSP 1", deployment=DEPLOYMENT)

    assert (request.state, request.decision, request.deployment) == (STATES["PROPOSED"], "", "")


async def test_conflicts_and_repetitions(registry: Registry, people: People) -> None:
    operator = await people(OPERATOR)
    arguments = {
        "placement_request_id": "x", "placement_request": cases.placement(), "request_id": str(uuid.uuid4()),
    }  # fmt: skip
    made = await operator.CreatePlacementRequest(**arguments)
    await advance(people, made.name, "ASSESSED")
    assert await operator.CreatePlacementRequest(**arguments) == made
    assert (await refusal_of(propose(people, "x"))).code == Code.ALREADY_EXISTS

    refusal = await refusal_of(advance(people, made.name, "REFUSED", etag=made.etag))
    assert (refusal.code, refusal.reason) == (Code.ABORTED, "ETAG_MISMATCH")
    assert (await refusal_of(advance(people, "placementRequests/none", "REFUSED"))).code == Code.NOT_FOUND
    refusal = await refusal_of(advance(people, made.name, "REFUSED", by=OPERATOR))
    assert (refusal.code, refusal.reason) == (Code.PERMISSION_DENIED, "METHOD_NOT_ALLOWED")


async def test_lists_by_filter_and_page(registry: Registry, people: People) -> None:
    requests = [await propose(people, f"r{number}", measures=[1, 2] if number % 2 else [2]) for number in range(5)]
    await advance(people, requests[-1].name, "ASSESSED")
    operator = await people(OPERATOR)

    for text, names in (
        ("state = STATE_PROPOSED", ["r0", "r1", "r2", "r3"]),
        ("measures:MEASURE_MOBILE_CAMERA", ["r1", "r3"]),
        ('-measures:MEASURE_MOBILE_CAMERA AND requester = "comitato*"', ["r0", "r2", "r4"]),
        ("deployment:* OR decision:*", []),
    ):
        found = await operator.ListPlacementRequests(filter=text)
        assert [each.name.removeprefix("placementRequests/") for each in found.placement_requests] == names, text
    first = await operator.ListPlacementRequests(page_size=3)
    second = await operator.ListPlacementRequests(page_size=3, page_token=first.next_page_token)
    assert [len(page.placement_requests) for page in (first, second)] == [3, 2]


async def test_tenants_do_not_see_each_others_requests(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    await administrator.CreateController(controller_id="amiat", controller=lawful.controller())
    made = await propose(people)
    foreign = await people("tenants/amiat/administrator/x")

    assert not (await foreign.ListPlacementRequests()).placement_requests
    assert (await refusal_of(foreign.GetPlacementRequest(name=made.name))).code == Code.NOT_FOUND
    refusal = await refusal_of(advance(people, made.name, "REFUSED", by="tenants/amiat/administrator/x"))
    assert refusal.code == Code.NOT_FOUND
    refusal = await refusal_of(propose(people, "x", by="tenants/amiat/operator/x"))
    assert refusal.reason == "SITE_NOT_FOUND"
    refusal = await refusal_of(propose(people, "y", controller="controllers/amiat"))
    assert refusal.code == Code.INVALID_ARGUMENT


async def test_the_site_of_an_open_request_cannot_be_deleted(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    await administrator.CreateSite(site_id="montanaro", site=lawful.site())
    made = await propose(people, site="sites/montanaro")
    refusal = await refusal_of(administrator.DeleteSite(name="sites/montanaro"))
    assert refusal.reason == "RESOURCE_IN_USE"

    await advance(people, made.name, "REFUSED")

    await administrator.DeleteSite(name="sites/montanaro")
