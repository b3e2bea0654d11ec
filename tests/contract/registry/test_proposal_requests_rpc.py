"""How proposals are asked for: what is refused, what is repeated, pages, filters, other controllers."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest

from argo.registry.v1 import scene_pb2
from argo.registry.v1.proposal_service_pb2 import Proposal
from tests.contract.registry.proposals import LINE, LIVE, RULE, SHADOW, Person, acting
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode


async def test_everything_wrong_with_a_proposal_is_told_at_once(shadow: Administrator, rossi: Person) -> None:
    refusal = await refusal_of(
        rossi.CreateProposal(parent="devices/palo-12", proposal_id="P", request_id="x", reason=" ", proposal=Proposal())
    )

    assert refusal.code == Code.INVALID_ARGUMENT
    assert refusal.fields == ["parent", "proposal_id", "request_id", "reason", "proposal.record"]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"rule": scene_pb2.Rule(name="x")}, "proposal.rule.name"),
        ({"rule": scene_pb2.Rule(name="devices/palo-12/optics/sud/rules/r")}, "proposal.rule.name"),
        ({"rule": scene_pb2.Rule(name=RULE, mode=SHADOW)}, "proposal.rule"),
        (
            {"rule": scene_pb2.Rule.FromString(scene_pb2.Rule(name=RULE).SerializeToString() + b"\x2a\x02\xe7\x07")},
            "rule.classes",
        ),
        ({"line": scene_pb2.Line(name=LINE, polyline=lawful.polyline((0.1, 0.1)))}, "line.polyline"),
    ],
)
async def test_a_proposal_that_would_not_be_valid(
    shadow: Administrator, rossi: Person, record: dict[str, Any], field: str
) -> None:
    refusal = await refusal_of(rossi.propose("p", **record))

    assert (refusal.code, refusal.fields) == (Code.INVALID_ARGUMENT, [field])


async def test_what_does_not_exist_and_what_is_stale(shadow: Administrator, rossi: Person, bianchi: Person) -> None:
    nothing = f"{OPTIC}/proposals/none"
    for call in (bianchi.GetProposal, bianchi.ApproveProposal, bianchi.RejectProposal):
        assert (await refusal_of(call(name=nothing))).code == Code.NOT_FOUND
        assert (await refusal_of(call(name="x"))).reason == "INVALID_NAME"
    missing = scene_pb2.Rule(name=f"{OPTIC}/rules/none", mode=LIVE)
    assert (await refusal_of(rossi.propose("p", rule=missing))).code == Code.NOT_FOUND
    stale = scene_pb2.Rule(name=RULE, mode=LIVE, etag="old")
    assert (await refusal_of(rossi.propose("p", rule=stale))).reason == "ETAG_MISMATCH"
    proposed = await rossi.go_live()
    assert (await refusal_of(bianchi.ApproveProposal(name=proposed.name, etag="old"))).reason == "ETAG_MISMATCH"
    assert (await refusal_of(bianchi.ListProposals(parent="devices/palo-12/optics/none"))).code == Code.NOT_FOUND


async def test_a_repeated_proposal_is_answered_as_before(shadow: Administrator, rossi: Person) -> None:
    arguments: dict[str, Any] = {
        "parent": OPTIC,
        "proposal_id": "p",
        "proposal": Proposal(rule=scene_pb2.Rule(name=RULE, mode=LIVE)),
        "request_id": str(uuid.uuid4()),
    }
    first = await rossi.CreateProposal(**arguments)

    assert await rossi.CreateProposal(**arguments) == first
    assert (await refusal_of(rossi.go_live())).reason == "RESOURCE_EXISTS"


async def test_pages_and_filters(shadow: Administrator, rossi: Person) -> None:
    for number in range(3):
        await rossi.go_live(f"p{number}")
    await rossi.RejectProposal(name=f"{OPTIC}/proposals/p1")

    page = await rossi.ListProposals(parent="devices/-/optics/-", page_size=2)
    rest = await rossi.ListProposals(parent="devices/-/optics/-", page_size=2, page_token=page.next_page_token)
    open_ones = await rossi.ListProposals(parent=OPTIC, filter="state = STATE_PROPOSED")

    assert [each.name[-2:] for each in (*page.proposals, *rest.proposals)] == ["p0", "p1", "p2"]
    assert [each.name[-2:] for each in open_ones.proposals] == ["p0", "p2"]
    assert (await refusal_of(rossi.ListProposals(parent=OPTIC, filter="colour = 1"))).reason == "INVALID_FILTER"


async def test_people_of_another_controller_see_and_decide_nothing(
    registry: Registry, shadow: Administrator, rossi: Person
) -> None:
    proposed = await rossi.go_live()
    async with acting(registry, "tenants/amiat/supervisor/averdi") as stranger:
        for call in (stranger.GetProposal, stranger.ApproveProposal, stranger.RejectProposal):
            assert (await refusal_of(call(name=proposed.name))).code == Code.NOT_FOUND
        assert not (await stranger.ListProposals(parent="devices/-/optics/-")).proposals
        refusal = await refusal_of(stranger.go_live("theirs"))

    assert refusal.code == Code.NOT_FOUND
