"""Rule events, and how they become alerts or join one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

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
