"""Rows of the database as domain values, and back."""

from __future__ import annotations

from typing import Any

from alerting.domain.alerts import Alert, Assessment, Priority, State, Transition


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
        transitions=tuple(
            Transition(State(step["state"]), step["actor"], step["time"], step["reason"]) for step in row["transitions"]
        ),
        assessment=Assessment(row["assessment"]),
        recipients=tuple(row["recipients"]),
        change=row["change"],
    )


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
    )
