"""What supersedes a proposal, and what does not."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from argo.registry.v1 import scene_pb2
from argo.registry.v1.proposal_service_pb2 import Proposal
from tests.contract.registry.proposals import LINE, RULE, SHADOW, ZONE, Person, moved_line, states
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Registry, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode


@pytest.mark.parametrize("what", ["the rule", "the line that it watches", "the rule's end"])
async def test_a_change_meanwhile_supersedes(shadow: Administrator, rossi: Person, bianchi: Person, what: str) -> None:
    await rossi.go_live()
    if what == "the rule":
        await shadow.UpdateRule(rule=scene_pb2.Rule(name=RULE, priority=scene_pb2.PRIORITY_HIGH))
    elif what == "the rule's end":
        await shadow.DeleteRule(name=RULE)
    else:
        await shadow.UpdateLine(line=moved_line())

    assert await states(rossi) == {"p": "SUPERSEDED"}
    for decide in (bianchi.ApproveProposal, bianchi.RejectProposal):
        refusal = await refusal_of(decide(name=f"{OPTIC}/proposals/p"))
        assert (refusal.code, refusal.reason) == (Code.ABORTED, "PROPOSAL_SUPERSEDED")


async def test_a_change_of_something_else_does_not(shadow: Administrator, rossi: Person, bianchi: Person) -> None:
    await rossi.go_live()
    await shadow.UpdateZone(zone=scene_pb2.Zone(name=ZONE, display_name="altro"))
    await shadow.CreateRule(parent=OPTIC, rule_id="other", rule=lawful.rule(OPTIC))

    assert (await bianchi.ApproveProposal(name=f"{OPTIC}/proposals/p")).state == Proposal.STATE_APPROVED


async def test_an_approval_supersedes_the_others_for_the_same_record(
    shadow: Administrator, rossi: Person, bianchi: Person
) -> None:
    for proposal_id in ("a", "b"):
        await rossi.go_live(proposal_id)
    await bianchi.ApproveProposal(name=f"{OPTIC}/proposals/a")

    assert await states(rossi) == {"a": "APPROVED", "b": "SUPERSEDED"}


async def test_an_approval_beside_a_change_of_what_the_rule_watches(
    registry: Registry, shadow: Administrator, rossi: Person, bianchi: Person
) -> None:
    """Either the line moved first and the approval is refused, or the rule went live first and the move is."""
    for number in range(6):
        await rossi.go_live(f"p{number}")
        line = scene_pb2.Line(name=LINE, polyline=lawful.polyline((0.1, 0.1), (0.9, 0.1 + number / 10)))
        answers: list[object] = await asyncio.gather(
            bianchi.ApproveProposal(name=f"{OPTIC}/proposals/p{number}"),
            shadow.UpdateLine(line=line),
            return_exceptions=True,
        )
        assert isinstance(answers[0], Proposal) is not isinstance(answers[1], scene_pb2.Line)
        await shadow.UpdateRule(rule=scene_pb2.Rule(name=RULE, mode=SHADOW))
