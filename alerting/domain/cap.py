"""The Common Alerting Protocol 1.2 (OASIS, 1 July 2010): one dispatch as one message.

Scope is always Restricted: the message is for the authority in ``addresses`` and for nobody else. It names places,
rules and measurements and no person: neither the operator nor what they wrote is in it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from alerting.domain.alerts import Assessment, Priority
from alerting.domain.dispatches import DispatchKind, Reference

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"

_TYPES = {DispatchKind.ALERT: "Alert", DispatchKind.UPDATE: "Update", DispatchKind.CANCEL: "Cancel"}
_URGENCY = {Priority.HIGH: "Immediate", Priority.MEDIUM: "Expected", Priority.LOW: "Expected"}
_SEVERITY = {Priority.HIGH: "Severe", Priority.MEDIUM: "Moderate", Priority.LOW: "Minor"}
_CERTAINTY = {
    Assessment.TRUE: "Observed",
    Assessment.FALSE: "Unlikely",
    Assessment.CANNOT_TELL: "Possible",
    Assessment.NONE: "Likely",
}
_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "Argo/SmokeOrFire": "Fire",
        "Argo/Flooding": "Met",
        "Argo/PersonDown": "Rescue",
        "Argo/WrongWay": "Transport",
        "Argo/StoppedVehicle": "Transport",
        "Argo/PedestrianOnCarriageway": "Transport",
        "Argo/SlowTraffic": "Transport",
        "Argo/CrowdDensity": "Safety",
        "Argo/CrowdForming": "Safety",
        "Argo/Dispersal": "Safety",
        "Argo/CounterFlow": "Safety",
        "Argo/RunningAgainstFlow": "Safety",
        "Argo/LostVisibility": "Infra",
    }
)
_ILLEGAL = str.maketrans(dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], " "))
_RADIUS_KILOMETRES = 0.1


@dataclass(frozen=True)
class CapMessage:
    """What one message says.

    Attributes:
        sender: who sends, unique in the world; no blanks, commas, ``<`` and ``&`` (CAP 1.2, 3.2.1).
        identifier: of this message; likewise.
        sent: when, in UTC.
        kind: what it says.
        recipient: name of the authority.
        references: what it goes on from, oldest first.
        incident: names the incident.
        over: the control room has closed it.
        priority: how urgent.
        assessment: whether somebody has seen that it is true.
        topic: kind of rule, for example ``"Argo/SmokeOrFire"``.
        headline: the alarm's sentence.
        instruction: what the control room suggests.
        onset: when it began, in UTC.
        expires: when what it is about is erased, in UTC.
        place: where, in words.
        point: latitude and longitude in degrees, WGS 84; none: not known.
        parameters: names and values.
        event_codes: what the event is called in the recipient's own lists: by the list's name, the code.
        exercise: nobody is to act on it.
    """

    sender: str
    identifier: str
    sent: datetime
    kind: DispatchKind
    recipient: str
    references: Sequence[Reference]
    incident: str
    over: bool
    priority: Priority
    assessment: Assessment
    topic: str
    headline: str
    instruction: str
    onset: datetime
    expires: datetime
    place: str
    point: tuple[float, float] | None
    parameters: Mapping[str, str]
    event_codes: Mapping[str, str] = field(default_factory=dict)
    exercise: bool = False


def to_xml(message: CapMessage) -> bytes:
    """The message as an XML document in UTF-8, its elements in the order of the schema."""
    alert = ET.Element(f"{{{NAMESPACE}}}alert")
    _add(alert, "identifier", message.identifier)
    _add(alert, "sender", message.sender)
    _add(alert, "sent", cap_time(message.sent))
    _add(alert, "status", "Exercise" if message.exercise else "Actual")
    _add(alert, "msgType", _TYPES[message.kind])
    _add(alert, "source", "ARGO")
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", "For the authority named in addresses only")
    _add(alert, "addresses", message.recipient)
    if message.kind is DispatchKind.CANCEL:
        _add(alert, "note", "The control room found it to be false")
    if message.references and message.kind is not DispatchKind.ALERT:
        _add(alert, "references", " ".join(_reference(message.sender, one) for one in message.references))
    _add(alert, "incidents", message.incident)
    _add_info(alert, message)
    ET.register_namespace("", NAMESPACE)
    document: bytes = ET.tostring(alert, encoding="utf-8", xml_declaration=True)
    return document


def cap_time(time: datetime) -> str:
    """A time as CAP wants it: whole seconds and an offset, never the letter Z (3.3.2)."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def _add_info(alert: ET.Element, message: CapMessage) -> None:
    info = _add(alert, "info")
    _add(info, "language", "en-GB")
    _add(info, "category", _CATEGORIES.get(message.topic, "Security"))
    _add(info, "event", message.topic or "Event")
    _add(info, "responseType", "AllClear" if message.over or message.kind is DispatchKind.CANCEL else "Assess")
    _add(info, "urgency", "Past" if message.over or message.kind is DispatchKind.CANCEL else _URGENCY[message.priority])
    _add(info, "severity", _SEVERITY[message.priority])
    _add(info, "certainty", _CERTAINTY[message.assessment])
    _add_values(info, "eventCode", message.event_codes)
    _add(info, "onset", cap_time(message.onset))
    _add(info, "expires", cap_time(message.expires))
    _add(info, "headline", message.headline)
    _add(info, "instruction", message.instruction)
    _add_values(info, "parameter", message.parameters)
    area = _add(info, "area")
    _add(area, "areaDesc", message.place)
    if message.point is not None:
        _add(area, "circle", f"{message.point[0]:.6f},{message.point[1]:.6f} {_RADIUS_KILOMETRES:g}")


def _add_values(info: ET.Element, kind: str, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        element = _add(info, kind)
        _add(element, "valueName", name)
        _add(element, "value", value)


def _reference(sender: str, reference: Reference) -> str:
    return f"{sender},{reference.dispatch_id},{cap_time(reference.send_time)}"


def _add(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    element = ET.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if text is not None:
        # What no XML document can hold would have the whole message refused.
        element.text = text.translate(_ILLEGAL)
    return element
