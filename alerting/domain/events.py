"""Rule events, and how they become alerts or join one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.domain.alerts import ALERTING, Act, Alert, Priority, State, Transition
from alerting.domain.summary import Explanation, summarise


@dataclass(frozen=True)
class RuleEvent:
    """Something that a rule said about the scene.

    Attributes:
        event_id: the same in every redelivery.
        live: whether it may raise an alert; the events of shadow rules are kept and never raised.
        priority: how urgent.
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``.
        capture_time: of the frame that decided it, in UTC.
        expire_time: when everything that came of it is erased.
        explanation: rule, place, measured value and threshold.
        payload: the serialised ``argo.detector.v1.Event``; opaque here.
    """

    event_id: uuid.UUID
    live: bool
    priority: Priority
    optic: str
    site: str
    capture_time: datetime
    expire_time: datetime
    explanation: Explanation
    payload: bytes


def raise_alert(event: RuleEvent, now: datetime) -> Alert:
    """The alert that an event raises. Its id follows from the event's, so that raising it twice makes one alert."""
    return Alert(
        alert_id=f"a-{event.event_id}",
        state=State.RAISED,
        priority=event.priority,
        optic=event.optic,
        site=event.site,
        rule=event.explanation.rule,
        place=event.explanation.place,
        summary=summarise(event.explanation),
        event=event.payload,
        event_count=1,
        create_time=now,
        update_time=now,
        capture_time=event.capture_time,
        last_capture_time=event.capture_time,
        expire_time=event.expire_time,
        transitions=(Transition(State.RAISED, ALERTING, now, "", Act.RAISE),),
        topic=event.explanation.topic,
        incident=f"a-{event.event_id}",
    )


def find_group(open_alerts: Iterable[Alert], event: RuleEvent, window: timedelta) -> Alert | None:
    """The alert that an event belongs to: same rule, same place, not closed, and close in time.

    Args:
        open_alerts: candidates; others than of the event's rule and place are passed over.
        event: the event.
        window: an event belongs to an alert when its capture lies at most this far from the alert's span of captures,
            on either side, since events of one optic can arrive out of order.

    Returns:
        The candidate that was active last, or none.
    """
    rule, place = event.explanation.rule, event.explanation.place
    candidates = [
        alert
        for alert in open_alerts
        if alert.state is not State.CLOSED
        and (alert.rule, alert.place) == (rule, place)
        and alert.capture_time - window <= event.capture_time <= alert.last_capture_time + window
    ]
    return max(candidates, key=lambda alert: alert.last_capture_time, default=None)


def join(alert: Alert, event: RuleEvent, now: datetime) -> Alert:
    """The alert with one more event. Its expiry stays that of its earliest capture; its urgency never falls."""
    return replace(
        alert,
        event_count=alert.event_count + 1,
        priority=max(alert.priority, event.priority),
        update_time=now,
        last_capture_time=max(alert.last_capture_time, event.capture_time),
        expire_time=min(alert.expire_time, event.expire_time),
    )
