from __future__ import annotations

import uuid
from typing import Any

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.alerts import Assessment
from alerting.domain.quality import Load, Scorecard, Verdicts
from alerting.quality import DAY, Quality
from alerting.store.quality import Cursor
from argo.alerting.v1 import alarm_quality_service_pb2 as v1
from argo.alerting.v1 import alarm_quality_service_pb2_grpc as v1_grpc
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.detector.v1 import bus_pb2
from mesh.identity import current_identity

_DAYS, _MOST_DAYS = 30, 3660


class AlarmQualityServicer(v1_grpc.AlarmQualityServiceServicer):
    """``argo.alerting.v1.AlarmQualityService``."""

    def __init__(self, quality: Quality) -> None:
        self._quality = quality

    async def GetAlarmPerformance(self, request: v1.GetAlarmPerformanceRequest, _context: Any) -> v1.AlarmPerformance:  # noqa: N802 - the contract's name
        """See the contract."""
        window = contracts.duration_of(request, "window") if request.HasField("window") else DAY
        if not window:
            raise tokens.invalid("window", "must be more than nothing")
        return load_message(await self._quality.load(window))

    async def ListRuleScorecards(  # noqa: N802 - the contract's name
        self, request: v1.ListRuleScorecardsRequest, _context: Any
    ) -> v1.ListRuleScorecardsResponse:
        """See the contract."""
        if not 0 <= request.days <= _MOST_DAYS:
            raise tokens.invalid("days", f"must lie between 0 and {_MOST_DAYS}")
        optic = contracts.optic_name(request.optic) if request.optic else None
        limit, days = tokens.page_size(request.page_size), request.days or _DAYS
        (after,) = tokens.decode_token(request.page_token, 1, "page_token") if request.page_token else ("",)
        cards = await self._quality.scorecards(days, optic, after, limit + 1)
        more = len(cards) > limit
        return v1.ListRuleScorecardsResponse(
            scorecards=[_scorecard_message(card, days) for card in cards[:limit]],
            next_page_token=tokens.encode_token(cards[limit - 1].rule) if more else "",
        )

    async def ListEvents(self, request: v1.ListEventsRequest, _context: Any) -> v1.ListEventsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        reason = contracts.text_of(request.reason, "reason", required=True)
        limit, after = tokens.page_size(request.page_size), _after(request.page_token)
        actor = current_identity().path
        match request.WhichOneof("of"):
            case "alert":
                alert_id = contracts.alert_id(request.alert)
                found = await self._quality.events_of_alert(actor, alert_id, after, limit + 1, reason)
            case "shadow_rule":
                rule = contracts.scope_name(request.shadow_rule)
                found = await self._quality.shadow_events(actor, rule, after, limit + 1, reason)
            case _:
                raise tokens.invalid("of", "is required: an alert, or a rule")
        (time, event_id), _ = found[limit - 1] if len(found) > limit else ((None, None), b"")
        token = tokens.encode_place(time, str(event_id)) if time is not None else ""
        events = [bus_pb2.Event.FromString(payload) for _, payload in found[:limit]]
        return v1.ListEventsResponse(events=events, next_page_token=token)

    async def AssessEvent(self, request: v1.AssessEventRequest, _context: Any) -> v1.AssessEventResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        event_id = contracts.event_id(request.event_id)
        if request.assessment not in alerts_v1.Alert.Assessment.values() or not request.assessment:
            raise tokens.invalid("assessment", "is required: true, false or cannot tell")
        reason = contracts.text_of(request.reason, "reason")
        await self._quality.assess(current_identity().path, event_id, Assessment(request.assessment), reason)
        return v1.AssessEventResponse()


def load_message(load: Load) -> v1.AlarmPerformance:
    """The load as the contract shows it."""
    message = v1.AlarmPerformance(
        start_time=contracts.timestamp(load.start),
        end_time=contracts.timestamp(load.end),
        operators=load.operators,
        alarms=load.alarms,
        alarms_per_operator_ten_minutes=load.rate,
        current_alarms_per_operator_ten_minutes=load.current_rate,
        flood_share=load.flood_share,
        events=load.events,
        chattering_alarms=load.chattering,
        stale_alarms=load.stale,
        escalated_alarms=load.escalated,
    )
    message.true_alarms, message.false_alarms, message.cannot_tell_alarms = load.verdicts
    message.high_priority_alarms, message.medium_priority_alarms, message.low_priority_alarms = load.priorities
    if load.acknowledgement is not None:
        median, p95 = load.acknowledgement
        message.median_acknowledgement.FromTimedelta(median)
        message.p95_acknowledgement.FromTimedelta(p95)
    return message


def _scorecard_message(card: Scorecard, days: int) -> v1.RuleScorecard:
    return v1.RuleScorecard(
        rule=card.rule, live=_count_message(card.live, days), shadow=_count_message(card.shadow, days)
    )


def _count_message(verdicts: Verdicts, days: int) -> v1.RuleScorecard.Count:
    message = v1.RuleScorecard.Count(
        raised=verdicts.raised,
        true_count=verdicts.true_count,
        false_count=verdicts.false_count,
        cannot_tell_count=verdicts.cannot_tell_count,
        false_per_day=verdicts.false_count / days,
    )
    if verdicts.precision is not None:
        message.precision, message.precision_low, message.precision_high = verdicts.precision
    return message


def _after(token: str) -> Cursor | None:
    place = tokens.decode_place(token)
    if place is None:
        return None
    time, event_id = place
    try:
        return time, uuid.UUID(event_id)
    except ValueError:
        raise tokens.invalid("page_token", "is not one that this service gave out") from None
