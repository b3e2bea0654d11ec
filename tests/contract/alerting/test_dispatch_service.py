"""What an authority does with what was sent to it, over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from alerting.assembly import Parts
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.alerting.v1 import dispatch_service_pb2 as v1
from argo.alerting.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from mesh.postgres import Pool
from tests.contract.alerting.test_alert_service import WHY, Connect, raised, refusal

if TYPE_CHECKING:
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from argo.alerting.v1.dispatch_service_pb2_grpc import DispatchServiceAsyncStub


@pytest.fixture
async def police(connect: Connect) -> DispatchServiceAsyncStub:
    return DispatchServiceStub(await connect("authority/questura"))


async def dispatched(parts: Parts, operator: AlertServiceAsyncStub, *tenants: str, **options: Any) -> str:
    name = await raised(parts, **options)
    await operator.AcknowledgeAlert(alerts_v1.AcknowledgeAlertRequest(name=name))
    for tenant in tenants:
        request = alerts_v1.DispatchAlertRequest(name=name, recipient=f"authorities/{tenant}", reason="help")
        await operator.DispatchAlert(request)
    return name


async def read(police: DispatchServiceAsyncStub, count: int, token: str = "") -> tuple[list[v1.Dispatch], str]:
    """The next dispatches of a watch, and where to go on."""
    watch = police.WatchDispatches(v1.WatchDispatchesRequest(reason="duty", resume_token=token))
    found: list[v1.Dispatch] = []
    async for response in watch:
        token = response.resume_token
        if response.HasField("dispatch"):
            found.append(response.dispatch)
        if len(found) == count:
            break
    watch.cancel()
    return found, token


async def test_an_authority_gets_what_was_sent_to_it_once_per_position_and_nothing_else(
    parts: Parts, pool: Pool, operator: AlertServiceAsyncStub, police: DispatchServiceAsyncStub
) -> None:
    await dispatched(parts, operator, "carabinieri", rule="theirs")
    name = await dispatched(parts, operator, "carabinieri", "questura", rule="both")
    (first,), token = await read(police, 1)
    assert (first.alert.name, first.kind, first.recipient) == (name, v1.Dispatch.KIND_ALERT, "authorities/questura")
    assert first.alert.recipients == ["authorities/questura"]
    assert "carabinieri" not in str(first)

    later = await dispatched(parts, operator, "questura", rule="later")
    (second,), _ = await read(police, 1, token)
    assert second.alert.name == later
    entries = await pool.fetch("SELECT what FROM audit_entries WHERE who = 'authority/questura' ORDER BY sequence")
    assert [entry["what"] for entry in entries] == [first.name, second.name]


async def test_receipt_and_outcome_come_back_and_are_shown_on_the_alert(
    parts: Parts, operator: AlertServiceAsyncStub, police: DispatchServiceAsyncStub
) -> None:
    name = await dispatched(parts, operator, "questura", "carabinieri")
    (dispatch,), _ = await read(police, 1)
    received = await police.AcknowledgeDispatch(v1.AcknowledgeDispatchRequest(name=dispatch.name))
    again = await police.AcknowledgeDispatch(v1.AcknowledgeDispatchRequest(name=dispatch.name))
    assert again.receipt_time == received.receipt_time
    await operator.CloseAlert(alerts_v1.CloseAlertRequest(name=name, reason="a patrol is there"))
    report = v1.ReportOutcomeRequest(name=dispatch.name, outcome=alerts_v1.Alert.OUTCOME_CONFIRMED, note="two persons")
    await police.ReportOutcome(report)

    alert = await operator.GetAlert(alerts_v1.GetAlertRequest(name=name, reason=WHY))
    theirs, others = alert.deliveries
    assert theirs.receipt_time == received.receipt_time
    assert (theirs.outcome, theirs.outcome_note) == (alerts_v1.Alert.OUTCOME_CONFIRMED, "two persons")
    assert (others.outcome, others.HasField("receipt_time")) == (alerts_v1.Alert.OUTCOME_UNSPECIFIED, False)
    said = [(step.act, step.actor, step.reason) for step in alert.transitions if step.actor.startswith("authority/")]
    assert said == [
        (alerts_v1.Alert.ACT_RECEIVE, "authority/questura", ""),
        (alerts_v1.Alert.ACT_REPORT, "authority/questura", "confirmed: two persons"),
    ]


async def test_what_turns_out_false_is_cancelled_and_what_is_over_is_updated(
    parts: Parts, operator: AlertServiceAsyncStub, police: DispatchServiceAsyncStub
) -> None:
    name = await dispatched(parts, operator, "questura")
    for assessment in (alerts_v1.Alert.ASSESSMENT_TRUE, alerts_v1.Alert.ASSESSMENT_FALSE):
        await operator.VerifyAlert(alerts_v1.VerifyAlertRequest(name=name, assessment=assessment, reason="a note"))
    await operator.CloseAlert(alerts_v1.CloseAlertRequest(name=name, reason="over"))

    dispatches, _ = await read(police, 3)
    kinds = [v1.Dispatch.KIND_ALERT, v1.Dispatch.KIND_UPDATE, v1.Dispatch.KIND_CANCEL]
    assert [dispatch.kind for dispatch in dispatches] == kinds
    assert dispatches[2].references == [dispatches[0].name, dispatches[1].name]
    assert dispatches[0].alert.state == alerts_v1.Alert.STATE_DISPATCHED
    assert "a note" not in str(dispatches)


async def test_what_is_not_its_own_does_not_exist_for_an_authority(
    parts: Parts, operator: AlertServiceAsyncStub, police: DispatchServiceAsyncStub, connect: Connect
) -> None:
    await dispatched(parts, operator, "questura")
    (dispatch,), token = await read(police, 1)
    firemen = DispatchServiceStub(await connect("authority/vigili-del-fuoco"))
    outcome = alerts_v1.Alert.OUTCOME_TAKEN_ON

    for call in (
        firemen.AcknowledgeDispatch(v1.AcknowledgeDispatchRequest(name=dispatch.name)),
        firemen.ReportOutcome(v1.ReportOutcomeRequest(name=dispatch.name, outcome=outcome)),
    ):
        error = await refusal(call)
        assert (error.code, error.reason) == ("NOT_FOUND", "DISPATCH_NOT_FOUND")
    for wrong in (
        police.AcknowledgeDispatch(v1.AcknowledgeDispatchRequest(name="alerts/a-1")),
        police.ReportOutcome(v1.ReportOutcomeRequest(name=dispatch.name)),
        anext(aiter(police.WatchDispatches(v1.WatchDispatchesRequest()))),
    ):
        assert (await refusal(wrong)).reason == "INVALID_FIELD"
    await parts.alarms.store.sequence()
    stale = v1.WatchDispatchesRequest(reason="duty", resume_token=token[:-4] + "AAAA")
    assert (await refusal(anext(aiter(police.WatchDispatches(stale))))).code in ("OUT_OF_RANGE", "INVALID_ARGUMENT")
