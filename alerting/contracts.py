"""The contracts' messages as domain values, and back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from alerting.domain import coverage
from alerting.domain.alerts import Alert, Delivery, Priority, Transition
from alerting.domain.events import RuleEvent
from alerting.domain.responses import suggested_response
from alerting.domain.retention import expiry
from alerting.domain.summary import Explanation
from alerting.domain.tokens import invalid
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2, object_class_pb2

_ID: Final = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_OPTIC: Final = rf"devices/{_ID}/optics/{_ID}"
_OPTIC_NAME: Final = re.compile(_OPTIC)
_SITE_NAME: Final = re.compile(rf"(?:sites/{_ID})?")
_RULE_NAME: Final = re.compile(rf"{_OPTIC}/rules/{_ID}")
_OWN_PLACE: Final = re.compile(rf"(?:zones|lines)/{_ID}")
_PLACE_NAME: Final = re.compile(rf"(?:{_OPTIC}/(?:zones|lines)/{_ID})?")
_ALERT_NAME: Final = re.compile(rf"alerts/({_ID})")
_RECIPIENT: Final = re.compile(rf"authorities/{_ID}")
_SCOPE_NAME: Final = re.compile(rf"{_OPTIC}(?:/(?:rules|zones|lines)/{_ID})?")
_PERSON: Final = re.compile(rf"(?:tenants/{_ID}/)?(?:operator|supervisor)/[A-Za-z0-9._-]{{1,63}}")
_MAXIMUM_TEXT: Final = 500
_CLIP_BEFORE: Final = timedelta(seconds=10)
_CLIP_AFTER: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(days=7)

V = TypeVar("V")


def rule_event(event: bus_pb2.Event, received: datetime) -> RuleEvent:
    """An event from the bus.

    Raises:
        InvalidArgument: it has no valid id, names or capture time.
    """
    captured = time_of(event.capture_time, "time")
    arbitrary = event.capture_time.source == media_pb2.CaptureTime.SOURCE_FILE
    return RuleEvent(
        event_id=_uuid(event.event_id, "event_id"),
        live=event.mode == scene_pb2.Rule.MODE_LIVE,
        priority=Priority(_known(scene_pb2.Priority, event.priority) or Priority.LOW),
        optic=_name(event.optic, _OPTIC_NAME, "optic"),
        site=_name(event.site, _SITE_NAME, "site"),
        capture_time=captured,
        expire_time=expiry(captured, received, arbitrary_origin=arbitrary),
        explanation=_explanation(event),
        payload=event.SerializeToString(deterministic=True),
    )


def _explanation(event: bus_pb2.Event) -> Explanation:
    return Explanation(
        topic=text_of(event.topic, "topic"),
        rule=_name(event.rule, _RULE_NAME, "rule"),
        place=_name(event.place, _PLACE_NAME, "place"),
        optic=event.optic,
        classes=tuple(dict.fromkeys(_class_name(number) for number in event.classes)),
        quantity=text_of(event.measurement.quantity, "measurement.quantity"),
        unit=text_of(event.measurement.unit, "measurement.unit"),
        value=event.measurement.value,
        threshold=event.measurement.threshold,
        rule_display_name=display_name(event.rule_display_name),
        place_display_name=display_name(event.place_display_name),
        optic_display_name=display_name(event.optic_display_name),
    )


def health_report(report: coverage_pb2.HealthReport, received: datetime) -> coverage.Report:
    """A report for the coverage ledger.

    Raises:
        InvalidArgument: it has no valid id, names or times.
    """
    start = time_of(report, "start_time")
    return coverage.Report(
        report_id=_uuid(report.report_id, "report_id"),
        optic=_name(report.optic, _OPTIC_NAME, "optic"),
        site=_name(report.site, _SITE_NAME, "site"),
        replica=text_of(report.replica, "replica"),
        start_time=start,
        interval=duration_of(report, "interval"),
        seconds=seconds_of(report.coverage),
        gaps=tuple(
            coverage.Gap(
                time_of(gap, "start_time"), duration_of(gap, "duration"), _known(coverage_pb2.Gap.Kind, gap.kind),
                text_of(gap.reason, "gaps.reason"),
            )
            for gap in report.gaps
        ),
        impairments=tuple(_known(coverage_pb2.HealthReport.Impairment, number) for number in report.impairments),
        expire_time=expiry(start, received),
    )  # fmt: skip


def seconds_of(value: coverage_pb2.Coverage) -> coverage.Seconds:
    """Coverage sums."""
    return coverage.Seconds(
        received=value.received_seconds,
        analysed=value.analysed_seconds,
        masked=value.masked_seconds,
        lost=value.lost_seconds,
        elapsed=value.elapsed_seconds,
        frames=coverage.Frames(
            *(
                _count(getattr(value, f"{name}_frames"))
                for name in ("received", "analysed", "masked", "held_back", "shed")
            )
        ),
    )


def alert_message(alert: Alert) -> alerts_v1.Alert:
    """An alert as the contract shows it."""
    message = alerts_v1.Alert(
        name=alert.name,
        state=alerts_v1.Alert.State.ValueType(alert.state),
        priority=scene_pb2.Priority.ValueType(alert.priority),
        optic=alert.optic,
        site=alert.site,
        summary=alert.summary,
        event=bus_pb2.Event.FromString(alert.event),
        event_count=alert.event_count,
        create_time=timestamp(alert.create_time),
        update_time=timestamp(alert.update_time),
        capture_time=timestamp(alert.capture_time),
        last_capture_time=timestamp(alert.last_capture_time),
        expire_time=timestamp(alert.expire_time),
        transitions=[_transition_message(step) for step in alert.transitions],
        assessment=alerts_v1.Alert.Assessment.ValueType(alert.assessment),
        etag=alert.etag,
        recipients=alert.recipients,
        kind=alerts_v1.Alert.Kind.ValueType(alert.kind),
        incident=alert.incident,
        owner=alert.owner,
        escalations=alert.escalations,
        other_optics=alert.other_optics,
        suggested_response=suggested_response(alert.topic),
        deliveries=[_delivery_message(delivery) for delivery in alert.deliveries],
    )
    message.clip.optic = alert.optic
    message.clip.interval.start_time.FromDatetime(alert.capture_time - _CLIP_BEFORE)
    message.clip.interval.end_time.FromDatetime(alert.last_capture_time + _CLIP_AFTER)
    if alert.shelved_until is not None:
        message.shelved_until.FromDatetime(alert.shelved_until)
    return message


def _transition_message(step: Transition) -> alerts_v1.Alert.Transition:
    return alerts_v1.Alert.Transition(
        state=alerts_v1.Alert.State.ValueType(step.state),
        actor=step.actor,
        time=timestamp(step.time),
        reason=step.reason,
        act=alerts_v1.Alert.Act.Value(f"ACT_{step.act.name if step.act is not None else 'UNSPECIFIED'}"),
        object=step.object,
    )


def _delivery_message(delivery: Delivery) -> alerts_v1.Alert.Delivery:
    message = alerts_v1.Alert.Delivery(
        recipient=delivery.recipient,
        dispatch=f"dispatches/{delivery.dispatch_id}",
        state=alerts_v1.Alert.DeliveryState.ValueType(delivery.state),
        attempts=delivery.attempts,
        problem=delivery.problem,
        outcome=alerts_v1.Alert.Outcome.ValueType(delivery.outcome),
        outcome_note=delivery.outcome_note,
    )
    if delivery.receipt_time is not None:
        message.receipt_time.FromDatetime(delivery.receipt_time)
    if delivery.outcome_time is not None:
        message.outcome_time.FromDatetime(delivery.outcome_time)
    return message


def alert_bytes(alert: Alert) -> bytes:
    """The same, serialised."""
    return alert_message(alert).SerializeToString(deterministic=True)


def timestamp(time: datetime) -> Timestamp:
    """A point in time, in UTC."""
    value = Timestamp()
    value.FromDatetime(time)
    return value


def time_of(message: Message, field: str) -> datetime:
    """The point in time in a field of a message, in UTC.

    Raises:
        InvalidArgument: it is not set, before 1970, or out of the calendar.
    """
    if not message.HasField(field):
        raise invalid(field, "is required")
    value: Timestamp = getattr(message, field)
    if value.seconds < 0:
        raise invalid(field, "must not be before 1970")
    return _checked(lambda: value.ToDatetime(tzinfo=UTC), field, "is not a time of the calendar")


def written_time(text: str, field: str) -> datetime:
    """A point in time as people write it into an address, in UTC; one without a zone is of UTC.

    Raises:
        InvalidArgument: it is no time in ISO 8601.
    """
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(field, "must be a time in ISO 8601, e.g. 2026-06-03T12:00:00Z") from None


def text_of(value: str, field: str, *, required: bool = False) -> str:
    """A short text in one line.

    Raises:
        InvalidArgument: it is too long, holds control characters, or is required and empty.
    """
    value = value.strip()
    if required and not value:
        raise invalid(field, "is required: every look is on record with its reason")
    if len(value) > _MAXIMUM_TEXT or not value.isprintable():
        raise invalid(field, f"must be one line of at most {_MAXIMUM_TEXT} printable characters")
    return value


def display_name(value: str) -> str:
    """What people call something, in one line of at most 500 printable characters.

    It is mended and never refused: no alert may be lost because of a no-break space in a name.
    """
    printable = "".join(character if character.isprintable() else " " for character in value)
    return " ".join(printable.split())[:_MAXIMUM_TEXT]


def alert_id(name: str) -> str:
    """The id in ``alerts/{alert}``.

    Raises:
        InvalidArgument: it is not such a name.
    """
    match = _ALERT_NAME.fullmatch(name)
    if match is None:
        raise invalid("name", "must be alerts/{alert}")
    return match[1]


def optic_name(name: str, field: str = "optic") -> str:
    """``devices/{device}/optics/{optic}``.

    Raises:
        InvalidArgument: it is not such a name.
    """
    return _name(name, _OPTIC_NAME, field)


def site_name(name: str, field: str = "site") -> str:
    """``sites/{site}``, or nothing.

    Raises:
        InvalidArgument: it is not such a name.
    """
    return _name(name, _SITE_NAME, field)


def is_place(name: str) -> bool:
    """Whether it is ``zones/{zone}`` or ``lines/{line}``."""
    return _OWN_PLACE.fullmatch(name) is not None


def recipient_name(name: str) -> str:
    """``authorities/{tenant}``.

    Raises:
        InvalidArgument: it is not such a name.
    """
    return _name(name, _RECIPIENT, "recipient")


def scope_name(name: str) -> str:
    """An optic, or a rule, zone or line of one.

    Raises:
        InvalidArgument: it is not such a name.
    """
    return _name(name, _SCOPE_NAME, "scope")


def person(path: str, field: str) -> str:
    """The identity path of an operator or a supervisor.

    Raises:
        InvalidArgument: it is not one.
    """
    if _PERSON.fullmatch(path) is None:
        raise invalid(field, "must be a person of the control room, such as operator/rossi")
    return path


def identifier(name: str, collection: str) -> str:
    """The id in ``{collection}/{id}``.

    Raises:
        InvalidArgument: it is not such a name.
    """
    match = re.fullmatch(rf"{collection}/({_ID})", name)
    if match is None:
        raise invalid("name", f"must be {collection}/{{id}}")
    return match[1]


def event_id(value: str) -> uuid.UUID:
    """The id of an event.

    Raises:
        InvalidArgument: it is not a UUID.
    """
    return _uuid(value, "event_id")


def request_id(value: str) -> uuid.UUID | None:
    """A request id (AIP-155); none when it is empty.

    Raises:
        InvalidArgument: it is not a UUID.
    """
    return _uuid(value, "request_id") if value else None


def duration_of(message: Message, field: str) -> timedelta:
    """The length of time in a field of a message.

    Raises:
        InvalidArgument: it is negative or longer than seven days.
    """
    value: Duration = getattr(message, field)
    span = _checked(value.ToTimedelta, field, "is not a length of time")
    if not timedelta(0) <= span <= _LONGEST:
        raise invalid(field, "must lie between nothing and seven days")
    return span


def _count(value: int) -> int:
    """A count as PostgreSQL holds it."""
    return min(value, 2**63 - 1)


def _known(enum: Any, number: int) -> int:
    """A number of an enumeration, or 0 for one that this version does not know."""
    return number if number in enum.values() else 0


def _uuid(value: str, field: str) -> uuid.UUID:
    return _checked(lambda: uuid.UUID(value), field, "must be a UUID")


def _name(value: str, pattern: re.Pattern[str], field: str) -> str:
    if pattern.fullmatch(value) is None:
        raise invalid(field, "is not a valid resource name")
    return value


def _checked(read: Callable[[], V], field: str, description: str) -> V:
    try:
        return read()
    except (ValueError, OverflowError):
        raise invalid(field, description) from None


def _class_name(number: int) -> str:
    known = object_class_pb2.ObjectClass.ValueType(_known(object_class_pb2.ObjectClass, number))
    return object_class_pb2.ObjectClass.Name(known).removeprefix("OBJECT_CLASS_").lower() if known else "object"
