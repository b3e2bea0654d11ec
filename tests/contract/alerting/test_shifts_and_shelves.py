"""Shifts, the watch list, handing over, and setting aside, over gRPC; time is moved in the database."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from alerting.assembly import Parts
from alerting.settings import AlertingSettings
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1 import shift_service_pb2 as shifts_v1
from argo.alerting.v1.shift_service_pb2_grpc import ShiftServiceStub
from mesh.postgres import Pool
from tests.contract.alerting.test_alert_service import WHY, Connect, raised, refusal
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, batch, delivery, event

if TYPE_CHECKING:
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub
    from argo.alerting.v1.shift_service_pb2_grpc import ShiftServiceAsyncStub

HOUR = Duration(seconds=3600)
TOO_LONG = Duration(seconds=90000)


@pytest.fixture
async def shifts(connect: Connect) -> ShiftServiceAsyncStub:
    return ShiftServiceStub(await connect("operator/rossi"))


async def make_due(pool: Pool) -> None:
    await pool.execute("UPDATE alerts SET due_time = now() - interval '1 second' WHERE due_time IS NOT NULL")


async def alert_of(operator: AlertServiceAsyncStub, name: str) -> v1.Alert:
    return await operator.GetAlert(v1.GetAlertRequest(name=name, reason=WHY))


async def test_nobody_answers_so_the_watch_list_is_called_in_its_order(
    parts: Parts, pool: Pool, operator: AlertServiceAsyncStub, shifts: ShiftServiceAsyncStub
) -> None:
    watch_list = ["operator/bianchi", "supervisor/neri"]
    await shifts.OpenShift(shifts_v1.OpenShiftRequest(watch_list=watch_list))
    name = await raised(parts)
    for _ in range(4):
        await make_due(pool)
        await parts.alarms.timekeeper.once()

    alert = await alert_of(operator, name)
    calls = [step for step in alert.transitions if step.act == v1.Alert.ACT_ESCALATE]
    assert [step.object for step in calls] == [*watch_list, ""]
    assert {step.actor for step in calls} == {"service/alerting"}
    assert (alert.state, alert.escalations) == (v1.Alert.STATE_RAISED, 3)
    assert await pool.fetchval("SELECT count(*) FROM audit_entries WHERE who = 'service/alerting'") == 3
    # Whoever was called takes it on; time has nothing more to do.
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))
    assert await pool.fetchval("SELECT due_time FROM alerts") is None


async def test_replicas_that_look_at_once_escalate_once(
    parts: Parts, pool: Pool, service_settings: AlertingSettings
) -> None:
    for index in range(20):
        await parts.consumers.take_events(batch(event(rule=f"rule-{index}")), delivery())
    await make_due(pool)
    replicas = [parts, *(support.parts(pool, service_settings) for _ in range(3))]
    await asyncio.gather(*(replica.alarms.timekeeper.once() for replica in replicas))

    assert await pool.fetchval("SELECT count(*) FROM alert_transitions WHERE act = 'escalate'") == 20
    assert await pool.fetchval("SELECT array_agg(DISTINCT escalations) FROM alerts") == [1]


async def test_what_is_set_aside_comes_back_by_itself(
    parts: Parts, pool: Pool, operator: AlertServiceAsyncStub
) -> None:
    name = await raised(parts)
    request = v1.ShelveAlertRequest(
        name=name, duration=HOUR, reason="works in the street", request_id=str(uuid.uuid4())
    )
    shelved = await operator.ShelveAlert(request)
    assert await operator.ShelveAlert(request) == shelved
    assert shelved.shelved_until.seconds - shelved.update_time.seconds == HOUR.seconds
    await parts.alarms.timekeeper.once()
    assert (await alert_of(operator, name)).state == v1.Alert.STATE_SHELVED

    await make_due(pool)
    await parts.alarms.timekeeper.once()
    back = await alert_of(operator, name)
    assert (back.state, back.HasField("shelved_until")) == (v1.Alert.STATE_RAISED, False)
    assert [step.act for step in back.transitions] == [
        v1.Alert.ACT_RAISE, v1.Alert.ACT_SHELVE, v1.Alert.ACT_UNSHELVE,
    ]  # fmt: skip


async def test_a_shelving_takes_what_is_raised_and_what_comes_and_gives_it_back(
    parts: Parts, operator: AlertServiceAsyncStub
) -> None:
    before = await raised(parts)
    request = v1.CreateShelvingRequest(scope=OPTIC, duration=HOUR, reason="works", request_id=str(uuid.uuid4()))
    shelving = await operator.CreateShelving(request)
    assert await operator.CreateShelving(request) == shelving
    after = await raised(parts, rule="another")
    assert (await operator.ListShelvings(v1.ListShelvingsRequest())).shelvings == [shelving]
    states = {(await alert_of(operator, name)).state for name in (before, after)}
    assert states == {v1.Alert.STATE_SHELVED}

    await operator.EndShelving(v1.EndShelvingRequest(name=shelving.name, reason="the works are over"))
    states = {(await alert_of(operator, name)).state for name in (before, after)}
    assert states == {v1.Alert.STATE_RAISED}
    error = await refusal(operator.EndShelving(v1.EndShelvingRequest(name=shelving.name, reason="again")))
    assert (error.code, error.reason) == ("NOT_FOUND", "SHELVING_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "message", "field"),
    [
        ("ShelveAlert", v1.ShelveAlertRequest(name="alerts/a", duration=HOUR), "reason"),
        ("CreateShelving", v1.CreateShelvingRequest(scope="sites/s", duration=HOUR, reason="x"), "scope"),
        ("CreateShelving", v1.CreateShelvingRequest(scope=OPTIC, reason="x"), "duration"),
        ("CreateShelving", v1.CreateShelvingRequest(scope=OPTIC, duration=TOO_LONG, reason="x"), "duration"),
        ("HandOverAlert", v1.HandOverAlertRequest(name="alerts/a", owner="operator/b"), "note"),
        ("HandOverAlert", v1.HandOverAlertRequest(name="alerts/a", owner="authority/questura", note="x"), "owner"),
    ],
)  # fmt: skip
async def test_wrong_requests_are_refused(
    operator: AlertServiceAsyncStub, method: str, message: object, field: str
) -> None:
    error = await refusal(getattr(operator, method)(message))
    assert (error.code, error.reason, error.metadata["field"]) == ("INVALID_ARGUMENT", "INVALID_FIELD", field)


async def test_a_shift_is_handed_over_with_a_note_and_leaves_nothing_behind(
    parts: Parts, operator: AlertServiceAsyncStub, shifts: ShiftServiceAsyncStub, connect: Connect
) -> None:
    mine = await shifts.OpenShift(shifts_v1.OpenShiftRequest(request_id=(request_id := str(uuid.uuid4()))))
    assert await shifts.OpenShift(shifts_v1.OpenShiftRequest(request_id=request_id)) == mine
    names = [await raised(parts, rule=f"rule-{index}") for index in range(2)]
    close = shifts_v1.CloseShiftRequest(name=mine.name, note="a quiet night")
    error = await refusal(shifts.CloseShift(close))
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "SHIFT_ALERTS_UNOWNED")
    assert set(error.metadata["alerts"].split(", ")) == set(names)

    for name in names:
        await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))
    assert (await refusal(shifts.CloseShift(close))).reason == "SHIFT_ALERTS_OWNED"
    hand_over = shifts_v1.HandOverShiftRequest(name=mine.name, owner="operator/bianchi", note="both near the gate")
    assert (await refusal(shifts.HandOverShift(hand_over))).reason == "NOT_A_MEMBER"

    next_shift = ShiftServiceStub(await connect("operator/bianchi"))
    theirs = await next_shift.OpenShift(shifts_v1.OpenShiftRequest())
    assert set((await shifts.HandOverShift(hand_over)).alerts) == set(names)
    closed = await shifts.CloseShift(close)
    assert (closed.closed_by, closed.note) == ("operator/rossi", "a quiet night")
    alert = await alert_of(operator, names[0])
    assert alert.owner == "operator/bianchi"
    last = alert.transitions[-1]
    assert (last.act, last.reason, last.object) == (v1.Alert.ACT_HAND_OVER, "both near the gate", "operator/bianchi")
    listed = (await shifts.ListShifts(shifts_v1.ListShiftsRequest())).shifts
    assert [shift.name for shift in listed] == [theirs.name, mine.name]
    assert (await refusal(shifts.JoinShift(shifts_v1.JoinShiftRequest(name=mine.name)))).reason == "SHIFT_CLOSED"


async def test_the_watch_list_is_the_members_until_somebody_sets_it(
    shifts: ShiftServiceAsyncStub, connect: Connect
) -> None:
    shift = await shifts.OpenShift(shifts_v1.OpenShiftRequest())
    colleague = ShiftServiceStub(await connect("operator/bianchi"))
    await colleague.JoinShift(shifts_v1.JoinShiftRequest(name=shift.name))
    joined = await colleague.JoinShift(shifts_v1.JoinShiftRequest(name=shift.name))
    assert joined.members == joined.watch_list == ["operator/rossi", "operator/bianchi"]

    called = ["operator/verdi"]
    changed = await shifts.SetWatchList(shifts_v1.SetWatchListRequest(name=shift.name, watch_list=called))
    assert [list(changed.watch_list), list(changed.members)] == [called, list(joined.members)]
    for wrong in ([], ["operator/verdi"] * 2, ["service/detector"]):
        request = shifts_v1.SetWatchListRequest(name=shift.name, watch_list=wrong)
        assert (await refusal(shifts.SetWatchList(request))).reason == "INVALID_FIELD"
    error = await refusal(shifts.JoinShift(shifts_v1.JoinShiftRequest(name="shifts/s-none")))
    assert (error.code, error.reason) == ("NOT_FOUND", "SHIFT_NOT_FOUND")


async def test_an_alert_says_what_to_do_and_where_to_look(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    alert = await alert_of(operator, await raised(parts))

    assert alert.suggested_response.startswith("Look at the live view.")
    assert alert.clip.optic == alert.optic
    assert alert.clip.interval.start_time.seconds < alert.capture_time.seconds < alert.clip.interval.end_time.seconds
    assert (alert.kind, alert.incident) == (v1.Alert.KIND_SINGLE, alert.name.removeprefix("alerts/"))
