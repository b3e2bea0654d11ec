"""Alerts and optics as the page gets them: JSON."""

from __future__ import annotations

from typing import Any

from alerting.contracts import display_name
from alerting.domain.alerts import Alert, Delivery, Transition
from alerting.domain.board import Row
from alerting.domain.dispatches import DeliveryState, Outcome
from alerting.domain.responses import suggested_response
from alerting.domain.summary import figure
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2


def alert_json(alert: Alert) -> dict[str, Any]:
    """One alert, with why it was raised."""
    event = bus_pb2.Event.FromString(alert.event)
    return {
        "name": alert.name,
        "state": alert.state.name.lower(),
        "priority": alert.priority.name.lower(),
        "assessment": alert.assessment.name.lower(),
        "optic": alert.optic,
        "summary": alert.summary,
        "rule": alert.rule.rsplit("/", 1)[-1],
        "ruleVersion": event.rule_version,
        "topic": event.topic,
        "place": display_name(event.place_display_name) or alert.place.rsplit("/", 1)[-1],
        "classes": [_label(object_class_pb2.ObjectClass, number, "OBJECT_CLASS_") for number in event.classes],
        "measurement": _measurement_json(event.measurement),
        "modelDigest": event.model_digest[:12],
        "eventCount": alert.event_count,
        "kind": alert.kind.name.lower(),
        "incident": alert.incident,
        "owner": alert.owner,
        "escalations": alert.escalations,
        "shelvedUntil": alert.shelved_until.isoformat() if alert.shelved_until is not None else None,
        "otherOptics": alert.other_optics,
        "suggestedResponse": suggested_response(alert.topic),
        "deliveries": [_delivery_json(delivery) for delivery in alert.deliveries],
        "captureTime": alert.capture_time.isoformat(),
        "createTime": alert.create_time.isoformat(),
        "expireTime": alert.expire_time.isoformat(),
        "recipients": [recipient.removeprefix("authorities/") for recipient in alert.recipients],
        "transitions": [_transition_json(step) for step in alert.transitions],
        "etag": alert.etag,
    }


def _transition_json(step: Transition) -> dict[str, Any]:
    return {
        "state": step.state.name.lower(),
        "actor": step.actor,
        "time": step.time.isoformat(),
        "reason": step.reason,
        "act": step.act.value if step.act is not None else "",
        "object": step.object,
    }


def _measurement_json(measurement: bus_pb2.Measurement) -> dict[str, str]:
    return {
        "quantity": measurement.quantity,
        "unit": measurement.unit,
        # A text: JSON has no word for what is not a number.
        "value": figure(measurement.value),
        "threshold": figure(measurement.threshold),
    }


def _delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "recipient": delivery.recipient.removeprefix("authorities/"),
        "state": DeliveryState(delivery.state).name.lower(),
        "attempts": delivery.attempts,
        "problem": delivery.problem,
        "received": delivery.receipt_time is not None,
        "outcome": Outcome(delivery.outcome).name.lower() if delivery.outcome else "",
        "outcomeNote": delivery.outcome_note,
    }


def row_json(row: Row) -> dict[str, Any]:
    """One optic of the board; what nobody says is said to be unknown."""
    session = row.session
    return {
        "optic": row.place.optic,
        "label": row.place.label,
        "site": row.place.site_label,
        "state": row.state.value,
        "refusals": [{"reason": refusal.reason, "description": refusal.description} for refusal in row.place.refusals],
        "reason": session.reason if session else "",
        "detail": session.detail if session else "",
        "since": session.since.isoformat() if session else None,
        "tracks": session.tracks if session else None,
        "unmaskedFramesOut": session.unmasked_frames_out if session else None,
        "coverage": {
            "analysed": round(row.shares.analysed, 4),
            "received": round(row.shares.received, 4),
            "lost": round(row.shares.lost, 4),
            "unknown": round(row.shares.unknown, 4),
        },
        "impairments": [
            _label(coverage_pb2.HealthReport.Impairment, number, "IMPAIRMENT_") for number in row.impairments
        ],
    }


def _label(enum: Any, number: int, prefix: str) -> str:
    name: str = enum.Name(number) if number in enum.values() else "OTHER"
    return name.removeprefix(prefix).lower().replace("_", " ")
