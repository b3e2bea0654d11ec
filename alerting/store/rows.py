"""Rows of the database as domain values, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alerting.domain.alerts import Act, Alert, Assessment, Delivery, Kind, Priority, State, Transition
from alerting.domain.dispatches import DeliveryState, Dispatch, DispatchKind, Reference
from alerting.domain.shelving import Shelving
from alerting.domain.shifts import Shift


def alert_of(row: Any) -> Alert:
    """An alert from a row of ``alerts`` with its ``transitions``."""
    return Alert(
        alert_id=row["alert_id"],
        state=State(row["state"]),
        priority=Priority(row["priority"]),
        optic=row["optic"],
        site=row["site"],
        rule=row["rule"],
        place=row["place"],
        summary=row["summary"],
        event=row["event"],
        event_count=row["event_count"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        capture_time=row["capture_time"],
        last_capture_time=row["last_capture_time"],
        expire_time=row["expire_time"],
        transitions=tuple(_transition(step) for step in row["transitions"]),
        assessment=Assessment(row["assessment"]),
        recipients=tuple(row["recipients"]),
        change=row["change"],
        kind=Kind(row["kind"]),
        topic=row["topic"],
        incident=row["incident"],
        owner=row["owner"],
        escalations=row["escalations"],
        due_time=row["due_time"],
        other_optics=tuple(row["other_optics"]),
        deliveries=_deliveries(row.get("dispatches") or ()),
    )


def _deliveries(rows: Iterable[Any]) -> tuple[Delivery, ...]:
    """One per recipient, of its dispatches from the oldest to the newest: the latest word of each kind."""
    found: dict[str, Delivery] = {}
    for row in rows:
        before = found.get(row["recipient"])
        told = row["outcome"] or before is None
        found[row["recipient"]] = Delivery(
            recipient=row["recipient"],
            dispatch_id=row["dispatch_id"],
            state=row["state"],
            attempts=row["attempts"],
            problem=row["problem"],
            receipt_time=row["receipt_time"] or (before.receipt_time if before is not None else None),
            outcome=row["outcome"] if told or before is None else before.outcome,
            outcome_note=row["outcome_note"] if told or before is None else before.outcome_note,
            outcome_time=row["outcome_time"] if told or before is None else before.outcome_time,
        )
    return tuple(found.values())


def dispatch_of(row: Any) -> Dispatch:
    """A dispatch from a row of ``dispatches``."""
    references = zip(row["reference_ids"], row["reference_times"], strict=True)
    return Dispatch(
        dispatch_id=row["dispatch_id"],
        alert_id=row["alert_id"],
        recipient=row["recipient"],
        kind=DispatchKind(row["kind"]),
        change=row["change"],
        send_time=row["send_time"],
        content=row["content"],
        references=tuple(Reference(*reference) for reference in references),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        receipt_time=row["receipt_time"],
    )


def _transition(row: Any) -> Transition:
    act = Act(row["act"]) if row["act"] else None
    return Transition(State(row["state"]), row["actor"], row["time"], row["reason"], act, row["object"])


def shift_of(row: Any) -> Shift:
    """A shift from a row of ``shifts``."""
    return Shift(
        shift_id=row["shift_id"],
        members=tuple(row["members"]),
        called=tuple(row["called"]),
        open_time=row["open_time"],
        close_time=row["close_time"],
        closed_by=row["closed_by"],
        note=row["note"],
    )


def shelving_of(row: Any) -> Shelving:
    """A shelving from a row of ``shelvings``."""
    return Shelving(row["shelving_id"], row["scope"], row["until"], row["actor"], row["reason"], row["create_time"])


def alert_values(alert: Alert) -> tuple[object, ...]:
    """The arguments of the query ``write_alert``."""
    return (
        alert.alert_id,
        int(alert.state),
        int(alert.priority),
        alert.optic,
        alert.site,
        alert.rule,
        alert.place,
        alert.summary,
        alert.event,
        alert.event_count,
        alert.create_time,
        alert.update_time,
        alert.capture_time,
        alert.last_capture_time,
        alert.expire_time,
        int(alert.assessment),
        list(alert.recipients),
        alert.change,
        int(alert.kind),
        alert.topic,
        alert.incident,
        alert.owner,
        alert.escalations,
        alert.due_time,
        list(alert.other_optics),
    )
