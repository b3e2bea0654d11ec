"""The load on the operators, and scorecards of rules, over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration

from alerting.assembly import Parts
from argo.alerting.v1 import alarm_quality_service_pb2 as v1
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.alerting.v1.alarm_quality_service_pb2_grpc import AlarmQualityServiceStub
from argo.registry.v1 import scene_pb2
from mesh.postgres import Pool
from tests.contract.alerting.test_alert_service import WHY, Connect, raised, refusal
from tests.integration.alerting.support import OPTIC, SHADOW, batch, delivery, event

if TYPE_CHECKING:
    from argo.alerting.v1.alarm_quality_service_pb2_grpc import AlarmQualityServiceAsyncStub
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

TRUE, FALSE = alerts_v1.Alert.ASSESSMENT_TRUE, alerts_v1.Alert.ASSESSMENT_FALSE
CANNOT_TELL = alerts_v1.Alert.ASSESSMENT_CANNOT_TELL


@pytest.fixture
async def quality(connect: Connect) -> AlarmQualityServiceAsyncStub:
    return AlarmQualityServiceStub(await connect("operator/rossi"))


async def verified(parts: Parts, operator: AlertServiceAsyncStub, assessment: int, rule: str) -> str:
    name = await raised(parts, rule=rule)
    await operator.AcknowledgeAlert(alerts_v1.AcknowledgeAlertRequest(name=name))
    await operator.VerifyAlert(
        alerts_v1.VerifyAlertRequest(name=name, assessment=alerts_v1.Alert.Assessment.ValueType(assessment))
    )
    return name


async def test_the_load_is_measured_against_the_people_on_duty(
    parts: Parts, pool: Pool, operator: AlertServiceAsyncStub, quality: AlarmQualityServiceAsyncStub
) -> None:
    for index, assessment in enumerate((TRUE, FALSE, CANNOT_TELL, FALSE)):
        await verified(parts, operator, assessment, f"rule-{index}")
    stale = await raised(parts, rule="stale", priority=scene_pb2.PRIORITY_HIGH)
    await pool.execute(
        "UPDATE alerts SET create_time = create_time - interval '30 hours' WHERE alert_id = $1",
        stale.removeprefix("alerts/"),
    )
    await parts.alarms.duty.open("operator/rossi", (), None)
    shift = (await parts.alarms.duty.list_open())[0]
    await parts.alarms.duty.join(shift.shift_id, "operator/bianchi")

    load = await quality.GetAlarmPerformance(v1.GetAlarmPerformanceRequest(window=Duration(seconds=600)))
    assert (load.operators, load.alarms, load.events) == (2, 4, 4)
    assert load.alarms_per_operator_ten_minutes == load.current_alarms_per_operator_ten_minutes == 2.0
    assert (load.true_alarms, load.false_alarms, load.cannot_tell_alarms) == (1, 2, 1)
    assert (load.stale_alarms, load.high_priority_alarms, load.medium_priority_alarms) == (1, 0, 4)
    assert load.HasField("median_acknowledgement")
    assert load.flood_share == 0.0
    day = await quality.GetAlarmPerformance(v1.GetAlarmPerformanceRequest())
    assert day.alarms_per_operator_ten_minutes == pytest.approx(4 / 2 / 144)


async def test_verdicts_make_scorecards_that_outlive_the_alerts(
    parts: Parts, pool: Pool, operator: AlertServiceAsyncStub, quality: AlarmQualityServiceAsyncStub
) -> None:
    for _ in range(3):
        name = await verified(parts, operator, TRUE, "good")
        await operator.CloseAlert(alerts_v1.CloseAlertRequest(name=name, reason="over"))
    false = await verified(parts, operator, FALSE, "good")
    await pool.execute("DELETE FROM alerts WHERE alert_id = $1", false.removeprefix("alerts/"))

    (card,) = (await quality.ListRuleScorecards(v1.ListRuleScorecardsRequest(optic=OPTIC, days=1))).scorecards
    assert card.rule == f"{OPTIC}/rules/good"
    assert (card.live.raised, card.live.true_count, card.live.false_count) == (4, 3, 1)
    assert card.live.precision == 0.75
    # By hand: Wilson's interval of 3 in 4.
    assert (card.live.precision_low, card.live.precision_high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert (card.live.false_per_day, card.shadow.HasField("precision")) == (1.0, False)


async def test_a_second_look_takes_the_place_of_the_first(
    parts: Parts, operator: AlertServiceAsyncStub, quality: AlarmQualityServiceAsyncStub
) -> None:
    name = await verified(parts, operator, TRUE, "good")
    await operator.DispatchAlert(
        alerts_v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="help")
    )
    await operator.VerifyAlert(alerts_v1.VerifyAlertRequest(name=name, assessment=FALSE))

    (card,) = (await quality.ListRuleScorecards(v1.ListRuleScorecardsRequest())).scorecards
    assert (card.live.true_count, card.live.false_count) == (0, 1)


async def test_shadow_events_are_scored_and_never_raised(
    parts: Parts, pool: Pool, quality: AlarmQualityServiceAsyncStub
) -> None:
    messages = [event(rule="young", mode=SHADOW) for _ in range(3)]
    await parts.consumers.take_events(batch(*messages), delivery())
    assert await pool.fetchval("SELECT count(*) FROM alerts") == 0
    request = v1.ListEventsRequest(shadow_rule=f"{OPTIC}/rules/young", reason=WHY, page_size=2)
    page = await quality.ListEvents(request)
    request.page_token = page.next_page_token
    rest = await quality.ListEvents(request)
    listed = [item.event_id for item in (*page.events, *rest.events)]
    assert sorted(listed) == sorted(message.event_id for message in messages)
    assert rest.next_page_token == ""

    for assessment in (FALSE, TRUE):
        await quality.AssessEvent(v1.AssessEventRequest(event_id=listed[0], assessment=assessment))
    await quality.AssessEvent(v1.AssessEventRequest(event_id=listed[1], assessment=CANNOT_TELL, reason="fog"))
    (card,) = (await quality.ListRuleScorecards(v1.ListRuleScorecardsRequest())).scorecards
    counts = (card.shadow.raised, card.shadow.true_count, card.shadow.false_count, card.shadow.cannot_tell_count)
    assert counts == (3, 1, 0, 1)
    assert card.live.raised == 0
    reasons = await pool.fetch("SELECT why FROM audit_entries WHERE act = 'alteration' ORDER BY sequence")
    assert [row["why"] for row in reasons] == ["found false, no reason given", "found true, no reason given", "fog"]


async def test_every_event_of_an_alert_can_be_read(
    parts: Parts, pool: Pool, quality: AlarmQualityServiceAsyncStub
) -> None:
    messages = [event() for _ in range(3)]
    await parts.consumers.take_events(batch(*messages), delivery())
    alert_id = await pool.fetchval("SELECT alert_id FROM alerts")
    name = f"alerts/{alert_id}"
    page = await quality.ListEvents(v1.ListEventsRequest(alert=name, reason=WHY))

    assert {item.event_id for item in page.events} == {message.event_id for message in messages}


@pytest.mark.parametrize(
    ("method", "message", "field"),
    [
        ("GetAlarmPerformance", v1.GetAlarmPerformanceRequest(window=Duration()), "window"),
        ("GetAlarmPerformance", v1.GetAlarmPerformanceRequest(window=Duration(seconds=700000)), "window"),
        ("ListRuleScorecards", v1.ListRuleScorecardsRequest(days=-1), "days"),
        ("ListRuleScorecards", v1.ListRuleScorecardsRequest(page_token="nonsense"), "page_token"),
        ("ListEvents", v1.ListEventsRequest(reason=WHY), "of"),
        ("ListEvents", v1.ListEventsRequest(alert="alerts/a"), "reason"),
        ("AssessEvent", v1.AssessEventRequest(assessment=TRUE), "event_id"),
        ("AssessEvent", v1.AssessEventRequest(event_id="1", assessment=TRUE), "event_id"),
    ],
)
async def test_wrong_requests_are_refused(
    quality: AlarmQualityServiceAsyncStub, method: str, message: object, field: str
) -> None:
    error = await refusal(getattr(quality, method)(message))
    assert (error.code, error.metadata["field"]) == ("INVALID_ARGUMENT", field)


async def test_an_event_that_is_not_in_shadow_gets_no_verdict(
    parts: Parts, quality: AlarmQualityServiceAsyncStub
) -> None:
    message = event()
    await parts.consumers.take_events(batch(message), delivery())
    error = await refusal(quality.AssessEvent(v1.AssessEventRequest(event_id=message.event_id, assessment=TRUE)))
    assert (error.code, error.reason) == ("NOT_FOUND", "EVENT_NOT_FOUND")
