"""Dispatches as messages: the contract's, JSON of the same, and CAP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from google.protobuf import json_format

from alerting import contracts
from alerting.domain import cap
from alerting.domain.alerts import Alert, Assessment, Priority
from alerting.domain.audience import Audience
from alerting.domain.dispatches import Dispatch
from alerting.domain.summary import figure
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.alerting.v1 import dispatch_service_pb2 as v1

Points = Callable[[], Mapping[str, tuple[float, float]]]
EventCodes = Mapping[str, Mapping[str, str]]
"""By the name of a list of codes, the code of each topic."""


@dataclass(frozen=True)
class CapSender:
    """Who sends CAP messages.

    Attributes:
        name: unique in the world.
        exercise: nobody is to act on them.
        points: gives latitude and longitude of the sites, degrees, WGS 84.
    """

    name: str
    exercise: bool
    points: Points


def rendered(alert: Alert, recipient: str) -> bytes:
    """An alert as ``authorities/{tenant}`` may see it, serialised."""
    audience = Audience(recipient.replace("authorities/", "authority/", 1))
    return contracts.alert_bytes(audience.view(alert))


def dispatch_message(dispatch: Dispatch) -> v1.Dispatch:
    """A dispatch as the contract shows it."""
    message = v1.Dispatch(
        name=dispatch.name,
        kind=v1.Dispatch.Kind.ValueType(dispatch.kind),
        recipient=dispatch.recipient,
        send_time=contracts.timestamp(dispatch.send_time),
        alert=alerts_v1.Alert.FromString(dispatch.content),
        references=[f"dispatches/{reference.dispatch_id}" for reference in dispatch.references],
    )
    if dispatch.receipt_time is not None:
        message.receipt_time.FromDatetime(dispatch.receipt_time)
    return message


def body(
    dispatch: Dispatch, form: Literal["cap", "json"], sender: CapSender, event_codes: EventCodes
) -> tuple[str, bytes]:
    """Content type and body for a webhook; the same bytes at every attempt."""
    if form == "json":
        return "application/json", json_format.MessageToJson(dispatch_message(dispatch), indent=None).encode()
    return "application/cap+xml", cap.to_xml(cap_message(dispatch, sender, event_codes))


def cap_message(dispatch: Dispatch, sender: CapSender, event_codes: EventCodes) -> cap.CapMessage:
    """A dispatch in the words of CAP."""
    alert = alerts_v1.Alert.FromString(dispatch.content)
    event = alert.event
    place = contracts.display_name(event.place_display_name) or event.place.rsplit("/", 1)[-1]
    optic = contracts.display_name(event.optic_display_name) or alert.optic
    return cap.CapMessage(
        sender=sender.name,
        identifier=dispatch.dispatch_id,
        sent=dispatch.send_time,
        kind=dispatch.kind,
        recipient=dispatch.tenant,
        references=dispatch.references,
        incident=alert.incident or alert.name.removeprefix("alerts/"),
        over=alert.state == alerts_v1.Alert.STATE_CLOSED,
        priority=Priority(alert.priority),
        assessment=Assessment(alert.assessment),
        topic=event.topic,
        event_codes={name: codes[event.topic] for name, codes in event_codes.items() if event.topic in codes},
        headline=alert.summary,
        instruction=alert.suggested_response,
        onset=alert.capture_time.ToDatetime(tzinfo=UTC),
        expires=alert.expire_time.ToDatetime(tzinfo=UTC),
        place=f"{place}, {optic}" if place else optic,
        point=sender.points().get(alert.site),
        parameters=_parameters(alert),
        exercise=sender.exercise,
    )


def _parameters(alert: alerts_v1.Alert) -> dict[str, str]:
    event, measured = alert.event, alert.event.measurement
    unit = f" {measured.unit}" if measured.unit else ""
    parameters = {"alert": alert.name, "optic": alert.optic, "site": alert.site, "rule": event.rule}
    if measured.quantity:
        parameters |= {
            "measured": f"{measured.quantity} {figure(measured.value)}{unit}",
            "threshold": f"{figure(measured.threshold)}{unit}",
        }
    if event.model_digest:
        parameters["modelDigest"] = event.model_digest
    interval = alert.clip.interval
    parameters["clip"] = f"{interval.start_time.ToJsonString()}/{interval.end_time.ToJsonString()}"
    return parameters
