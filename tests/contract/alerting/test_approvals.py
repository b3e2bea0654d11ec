"""Four eyes and broken glass over gRPC, with a real database."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
import structlog

from alerting.assembly import Parts, utc_now
from alerting.domain.approvals import Kind
from alerting.fingerprint import fingerprint
from argo.alerting.v1 import approval_service_pb2 as v1
from argo.alerting.v1 import break_glass_service_pb2 as glass_v1
from argo.alerting.v1.approval_service_pb2_grpc import ApprovalServiceStub
from argo.alerting.v1.break_glass_service_pb2_grpc import BreakGlassServiceStub
from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest
from argo.anonymizer.v1.recording_service_pb2 import ExportClipRequest
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

QUERY = SearchObservationsRequest(
    purpose="security", case_reference="RGNR 1/2026", reason="a van near the gardens", page_size=10
)
SEARCH = "/argo.alerting.v1.SearchService/SearchObservations"


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value).reason


@pytest.fixture
async def investigator(connect: Connect) -> Any:
    return ApprovalServiceStub(await connect("investigator/verdi"))


@pytest.fixture
async def supervisor(connect: Connect) -> Any:
    return ApprovalServiceStub(await connect("supervisor/bianchi"))


async def ask(stub: Any, **fields: Any) -> v1.Approval:
    request = v1.CreateApprovalRequest(approval=v1.Approval(search=QUERY), reason="the square is large", **fields)
    made: v1.Approval = await stub.CreateApproval(request)
    return made


async def test_a_search_is_granted_by_another_for_exactly_that(
    parts: Parts, investigator: Any, supervisor: Any
) -> None:
    asked = await ask(investigator)
    assert (asked.state, asked.search, asked.author) == (v1.Approval.STATE_REQUESTED, QUERY, "investigator/verdi")

    granted = await supervisor.GrantApproval(v1.GrantApprovalRequest(name=asked.name, reason="as it must be"))

    assert (granted.state, granted.decider) == (v1.Approval.STATE_GRANTED, "supervisor/bianchi")
    other_page = SearchObservationsRequest()
    other_page.CopyFrom(QUERY)
    other_page.page_size, other_page.page_token, other_page.approval = 50, "next", asked.name
    await parts.oversight.approvals.require(asked.name, Kind.SEARCH, fingerprint(other_page), "investigator/verdi")
    other_page.reason = "something else"
    for print_, actor, reason in (
        (fingerprint(other_page), "investigator/verdi", "APPROVAL_MISMATCH"),
        (fingerprint(QUERY), "investigator/neri", "APPROVAL_NOT_FOUND"),
    ):
        with pytest.raises(ArgoError) as caught:
            await parts.oversight.approvals.require(asked.name, Kind.SEARCH, print_, actor)
        assert caught.value.reason == reason


async def test_every_step_is_on_record(parts: Parts, pool: Pool, investigator: Any, supervisor: Any) -> None:
    asked = await ask(investigator)
    await supervisor.RejectApproval(v1.RejectApprovalRequest(name=asked.name, reason="too wide"))

    rows = await pool.fetch("SELECT act, who, why, what FROM audit_entries ORDER BY sequence")
    assert [tuple(row) for row in rows] == [
        ("alteration", "investigator/verdi", "the square is large", asked.name),
        ("alteration", "supervisor/bianchi", "too wide", asked.name),
    ]
    assert await parts.log.verify() is None


async def test_nobody_grants_for_itself_or_twice(connect: Connect, investigator: Any, supervisor: Any) -> None:
    asked = await ask(investigator)
    grant = v1.GrantApprovalRequest(name=asked.name, reason="x")

    assert await refusal(ApprovalServiceStub(await connect("supervisor/verdi")).GrantApproval(grant)) == "SELF_APPROVAL"
    assert await refusal(ApprovalServiceStub(await connect("operator/rossi")).GrantApproval(grant)) == (
        "METHOD_NOT_ALLOWED"
    )
    await supervisor.RejectApproval(v1.RejectApprovalRequest(name=asked.name, reason="no"))
    assert await refusal(supervisor.GrantApproval(grant)) == "ALREADY_DECIDED"


async def test_the_database_refuses_a_self_approval_too(pool: Pool, investigator: Any) -> None:
    asked = await ask(investigator)

    with pytest.raises(Exception, match="check constraint"):
        await pool.execute(
            "UPDATE approvals SET state = 2, decider = 'supervisor/Verdi', decide_time = now() WHERE approval_id = $1",
            asked.name.removeprefix("approvals/"),
        )


async def test_people_see_their_own_and_deciders_see_all(connect: Connect, investigator: Any, supervisor: Any) -> None:
    names = [(await ask(investigator)).name for _ in range(3)]
    stranger = ApprovalServiceStub(await connect("investigator/neri"))

    assert await refusal(stranger.GetApproval(v1.GetApprovalRequest(name=names[0]))) == "APPROVAL_NOT_FOUND"
    assert list((await stranger.ListApprovals(v1.ListApprovalsRequest())).approvals) == []
    seen, token = [], ""
    while True:
        page = await supervisor.ListApprovals(v1.ListApprovalsRequest(page_size=2, page_token=token, waiting=True))
        seen += [approval.name for approval in page.approvals]
        token = page.next_page_token
        if not token:
            break
    assert seen == names[::-1]
    assert (await investigator.GetApproval(v1.GetApprovalRequest(name=names[0]))).name == names[0]


async def test_a_repeated_request_asks_once(investigator: Any) -> None:
    key = str(uuid.uuid4())
    first, second = await ask(investigator, request_id=key), await ask(investigator, request_id=key)

    assert first == second
    other = v1.CreateApprovalRequest(
        approval=v1.Approval(export=ExportClipRequest(recipient="authorities/questura")), reason="y", request_id=key
    )
    assert await refusal(investigator.CreateApproval(other)) == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (v1.CreateApprovalRequest(reason="x"), "INVALID_FIELD"),
        (v1.CreateApprovalRequest(approval=v1.Approval(search=QUERY)), "INVALID_FIELD"),
        (v1.CreateApprovalRequest(approval=v1.Approval(search=QUERY), reason="x", request_id="1"), "INVALID_FIELD"),
    ],
)
async def test_bad_requests_are_told(investigator: Any, request_: v1.CreateApprovalRequest, reason: str) -> None:
    assert await refusal(investigator.CreateApproval(request_)) == reason


# --- broken glass -----------------------------------------------------------------------------------------------------


ADMITTED = "INVALID_ARGUMENT"
"""What somebody who may search hears of an empty query; who may not is refused before it is read."""


async def search(channel: grpc.aio.Channel) -> str:
    call: Any = channel.unary_unary(SEARCH)
    try:
        await call(b"")
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_a_right_is_taken_at_once_and_looked_into(parts: Parts, pool: Pool, connect: Connect) -> None:
    channel = await connect("operator/rossi")
    rossi = BreakGlassServiceStub(channel)
    assert await search(channel) == "PERMISSION_DENIED"

    with structlog.testing.capture_logs() as logs:
        case = await rossi.BreakGlass(
            glass_v1.BreakGlassRequest(right="deferred", reason="a child is lost", case_reference="112/7")
        )

    assert case.state == glass_v1.BreakGlassCase.STATE_OPEN
    assert [line["case"] for line in logs if line["event"] == "glass.broken"] == [case.name]
    assert parts.metrics.glass.broken.labels("deferred")._value.get() == 1
    assert await search(channel) == ADMITTED
    assert await search(await connect("operator/verdi")) == "PERMISSION_DENIED"

    supervisor = BreakGlassServiceStub(await connect("supervisor/bianchi"))
    listed = await supervisor.ListBreakGlassCases(glass_v1.ListBreakGlassCasesRequest(unreviewed=True))
    assert [each.name for each in listed.cases] == [case.name]
    verdict = glass_v1.ReviewBreakGlassRequest(
        name=case.name, verdict=glass_v1.ReviewBreakGlassRequest.VERDICT_JUSTIFIED, reason="found in ten minutes"
    )
    own = BreakGlassServiceStub(await connect("supervisor/rossi"))
    assert await refusal(own.ReviewBreakGlass(verdict)) == "SELF_APPROVAL"
    reviewed = await supervisor.ReviewBreakGlass(verdict)
    assert reviewed.state == glass_v1.BreakGlassCase.STATE_JUSTIFIED
    assert await search(channel) == "PERMISSION_DENIED", "a review ends the right"
    acts = await pool.fetch("SELECT who, what, case_reference FROM audit_entries ORDER BY sequence")
    assert [tuple(act) for act in acts] == [
        ("operator/rossi", f"{case.name}, right deferred", "112/7"),
        ("supervisor/bianchi", case.name, "112/7"),
    ]


async def test_a_right_that_is_given_back_is_gone(connect: Connect) -> None:
    channel = await connect("operator/rossi")
    rossi = BreakGlassServiceStub(channel)
    case = await rossi.BreakGlass(glass_v1.BreakGlassRequest(right="deferred", reason="a child is lost"))

    ended = await rossi.EndBreakGlass(glass_v1.EndBreakGlassRequest(name=case.name))

    assert ended.state == glass_v1.BreakGlassCase.STATE_ENDED
    assert await search(channel) == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("path", "right", "reason"),
    [
        ("operator/rossi", "export", "RIGHT_NOT_IN_REACH"),
        ("operator/rossi", "", "RIGHT_NOT_IN_REACH"),
        ("investigator/verdi", "deferred", "METHOD_NOT_ALLOWED"),
    ],
)
async def test_not_every_right_is_in_reach(connect: Connect, path: str, right: str, reason: str) -> None:
    stub = BreakGlassServiceStub(await connect(path))

    assert await refusal(stub.BreakGlass(glass_v1.BreakGlassRequest(right=right, reason="x"))) == reason


async def test_who_was_not_looked_into_in_time_takes_no_more_and_is_told_of(
    parts: Parts, pool: Pool, connect: Connect
) -> None:
    rossi = BreakGlassServiceStub(await connect("operator/rossi"))
    case = await rossi.BreakGlass(glass_v1.BreakGlassRequest(right="deferred", reason="a child is lost"))
    yesterday = utc_now() - timedelta(hours=25)
    await pool.execute(
        "UPDATE break_glass_cases SET create_time = $1, expire_time = $2, review_due_time = $2",
        yesterday,
        yesterday + timedelta(minutes=1),
    )

    with structlog.testing.capture_logs() as logs:
        await parts.oversight.break_glass.look()
        await parts.oversight.break_glass.look()

    assert [line["case"] for line in logs if line["event"] == "glass.review_overdue"] == [case.name]
    assert parts.metrics.glass.unreviewed.labels("yes")._value.get() == 1
    again = glass_v1.BreakGlassRequest(right="deferred", reason="again")
    assert await refusal(rossi.BreakGlass(again)) == "REVIEW_OVERDUE"


async def test_without_an_audit_log_nobody_asks_decides_or_takes_anything(
    pool: Pool, connect: Connect, investigator: Any, supervisor: Any
) -> None:
    asked = await ask(investigator)
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    rossi = BreakGlassServiceStub(await connect("operator/rossi"))

    for call in (
        ask(investigator),
        supervisor.GrantApproval(v1.GrantApprovalRequest(name=asked.name, reason="x")),
        supervisor.RejectApproval(v1.RejectApprovalRequest(name=asked.name, reason="x")),
        rossi.BreakGlass(glass_v1.BreakGlassRequest(right="deferred", reason="a child is lost")),
    ):
        assert await refusal(call) == "AUDIT_UNAVAILABLE"
    assert await pool.fetchval("SELECT array_agg(state) FROM approvals") == [1]
    assert await pool.fetchval("SELECT count(*) FROM break_glass_cases") == 0
