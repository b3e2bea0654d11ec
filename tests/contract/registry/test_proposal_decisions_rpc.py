"""Who approves, rejects and withdraws a proposal, and what an approval changes."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from argo.registry.v1 import scene_pb2
from argo.registry.v1.proposal_service_pb2 import Proposal
from mesh.audit import AuditLog
from tests.contract.registry.proposals import LINE, LIVE, RULE, SHADOW, Person, acting, moved_line, states
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Registry, refusal_of

Code = grpc.StatusCode


async def test_a_second_person_makes_a_rule_live(
    registry: Registry, shadow: Administrator, rossi: Person, bianchi: Person
) -> None:
    proposed = await rossi.go_live()
    assert proposed.name == f"{OPTIC}/proposals/p"
    assert (proposed.state, proposed.author, proposed.reason) == (
        Proposal.STATE_PROPOSED, "administrator/mrossi", "CreateProposal for a test",
    )  # fmt: skip
    # The whole record as it is to be, not only what was asked for.
    assert (proposed.rule.mode, proposed.rule.priority) == (LIVE, scene_pb2.PRIORITY_MEDIUM)
    assert await bianchi.GetProposal(name=proposed.name) == proposed

    approved = await bianchi.ApproveProposal(name=proposed.name, etag=proposed.etag)

    assert (approved.state, approved.decider, approved.decision_reason) == (
        Proposal.STATE_APPROVED, "supervisor/lbianchi", "ApproveProposal for a test",
    )  # fmt: skip
    assert approved.decide_time.ToDatetime() > approved.create_time.ToDatetime()
    assert (await shadow.GetRule(name=RULE)).mode == LIVE
    remembered = await registry.pool.fetchrow(
        "SELECT author, approver, reason FROM change WHERE name = $1 ORDER BY sequence DESC LIMIT 1", RULE
    )
    assert tuple(remembered) == ("administrator/mrossi", "supervisor/lbianchi", "CreateProposal for a test")
    acts = await registry.pool.fetch(
        "SELECT who, why, what FROM audit_entries WHERE act = 'alteration' ORDER BY sequence"
    )
    assert [tuple(act) for act in acts][-2:] == [
        ("supervisor/lbianchi", "ApproveProposal for a test", proposed.name),
        ("administrator/mrossi", "CreateProposal for a test", RULE),
    ]
    assert await AuditLog(registry.pool).verify() is None


@pytest.mark.parametrize("identity", ["administrator/mrossi", "supervisor/mrossi", "supervisor/MRossi"])
async def test_nobody_approves_their_own_in_whatever_role(
    registry: Registry, shadow: Administrator, rossi: Person, identity: str
) -> None:
    proposed = await rossi.go_live()
    async with acting(registry, identity) as same:
        refusal = await refusal_of(same.ApproveProposal(name=proposed.name))

    assert (refusal.code, refusal.reason) == (Code.PERMISSION_DENIED, "SELF_APPROVAL")
    assert await states(rossi) == {"p": "PROPOSED"}
    assert (await shadow.GetRule(name=RULE)).mode == SHADOW


async def test_an_author_withdraws_and_another_rejects(shadow: Administrator, rossi: Person, bianchi: Person) -> None:
    for proposal_id in ("a", "b"):
        await rossi.go_live(proposal_id)

    await rossi.RejectProposal(name=f"{OPTIC}/proposals/a")
    await bianchi.RejectProposal(name=f"{OPTIC}/proposals/b")

    assert await states(rossi) == {"a": "WITHDRAWN", "b": "REJECTED"}
    assert (await shadow.GetRule(name=RULE)).mode == SHADOW


async def test_a_decision_stands(shadow: Administrator, rossi: Person, bianchi: Person) -> None:
    for proposal_id in ("a", "b", "c"):
        await rossi.go_live(proposal_id)
    await rossi.RejectProposal(name=f"{OPTIC}/proposals/a")
    await bianchi.RejectProposal(name=f"{OPTIC}/proposals/b")
    await bianchi.ApproveProposal(name=f"{OPTIC}/proposals/c")

    for proposal_id in ("a", "b", "c"):
        for decide in (bianchi.ApproveProposal, bianchi.RejectProposal, rossi.RejectProposal):
            refusal = await refusal_of(decide(name=f"{OPTIC}/proposals/{proposal_id}"))
            assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "PROPOSAL_DECIDED")


async def test_shapes_are_changed_through_proposals_too(live: Administrator, rossi: Person, bianchi: Person) -> None:
    await rossi.propose("line", "polyline", line=moved_line())
    await bianchi.ApproveProposal(name=f"{OPTIC}/proposals/line")

    assert (await live.GetLine(name=LINE)).polyline == moved_line().polyline


async def test_a_mask_says_which_fields(live: Administrator, rossi: Person, bianchi: Person) -> None:
    rule = scene_pb2.Rule(name=RULE, mode=SHADOW, priority=scene_pb2.PRIORITY_HIGH)
    proposed = await rossi.propose("p", "priority", rule=rule)
    await bianchi.ApproveProposal(name=proposed.name)

    changed = await live.GetRule(name=RULE)
    assert (changed.mode, changed.priority) == (LIVE, scene_pb2.PRIORITY_HIGH)
    assert list(proposed.update_mask.paths) == ["priority"]


async def test_of_concurrent_approvers_one_approves(registry: Registry, shadow: Administrator, rossi: Person) -> None:
    proposed = await rossi.go_live()
    async with contextlib.AsyncExitStack() as people:
        approvers = [
            await people.enter_async_context(acting(registry, f"supervisor/person-{number}")) for number in range(4)
        ]
        answers = await asyncio.gather(
            *(person.ApproveProposal(name=proposed.name) for person in approvers), return_exceptions=True
        )

    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(refused) == 3
    assert {error.code() for error in refused} == {Code.FAILED_PRECONDITION}
    assert (
        await registry.pool.fetchval("SELECT count(*) FROM change WHERE name = $1 AND approver IS NOT NULL", RULE) == 1
    )
