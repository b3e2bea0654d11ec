from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from alerting import arrivals, contracts
from alerting.domain.alerts import Priority
from alerting.domain.events import raise_alert
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2, object_class_pb2
from mesh.errors import InvalidArgument

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OPTIC = "devices/alimonda/optics/north"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.integers(-(2**31), 2**31 - 1)
moments = st.builds(Timestamp, seconds=st.integers(-(2**62), 2**62), nanos=numbers)


def event() -> bus_pb2.Event:
    message = bus_pb2.Event(
        event_id=str(uuid.UUID(int=1)),
        optic=OPTIC,
        site="sites/alimonda",
        rule=f"{OPTIC}/rules/no-entry",
        place=f"{OPTIC}/lines/gate",
        topic="LineDetector/Crossed",
        mode=scene_pb2.Rule.MODE_LIVE,
        priority=scene_pb2.PRIORITY_HIGH,
        classes=[object_class_pb2.OBJECT_CLASS_CAR, object_class_pb2.OBJECT_CLASS_CAR],
        model_digest="ab" * 32,
    )
    message.capture_time.time.FromDatetime(NOW)
    return message


def test_an_event_keeps_every_byte_of_what_the_detector_said() -> None:
    message = event()
    alert = contracts.alert_message(raise_alert(contracts.rule_event(message, NOW), NOW))

    assert alert.event == message
    assert alert.priority == scene_pb2.PRIORITY_HIGH
    assert alert.state == v1.Alert.STATE_RAISED
    assert v1.Alert.FromString(alert.SerializeToString()) == alert


@pytest.mark.parametrize(
    ("mode", "live"),
    [
        (scene_pb2.Rule.MODE_LIVE, True),
        (scene_pb2.Rule.MODE_SHADOW, False),
        (scene_pb2.Rule.MODE_OFF, False),
        (scene_pb2.Rule.MODE_UNSPECIFIED, False),
        (99, False),
    ],
)
def test_only_a_live_rule_raises(mode: int, live: bool) -> None:  # noqa: FBT001
    message = event()
    message.mode = mode  # type: ignore[assignment]
    assert contracts.rule_event(message, NOW).live is live


def test_a_priority_that_nobody_knows_is_low() -> None:
    message = event()
    message.priority = 99  # type: ignore[assignment]
    assert contracts.rule_event(message, NOW).priority is Priority.LOW


def test_the_time_of_a_file_says_nothing_of_the_calendar() -> None:
    message = event()
    message.capture_time.time.FromDatetime(datetime(1970, 1, 1, tzinfo=UTC))
    message.capture_time.source = media_pb2.CaptureTime.SOURCE_FILE
    assert contracts.rule_event(message, NOW).expire_time > NOW


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "1"),
        ("optic", "cameras/1"),
        ("optic", f"{OPTIC}\x00"),
        ("site", "Alimonda"),
        ("rule", "rules/r"),
        ("place", "gate"),
        ("topic", "two\nlines"),
        ("topic", "x" * 501),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str) -> None:
    message = event()
    setattr(message, field, value)
    with pytest.raises(InvalidArgument) as caught:
        contracts.rule_event(message, NOW)
    assert caught.value.violations[0].field == field


def test_an_alert_speaks_in_the_names_that_its_event_brought() -> None:
    message = event()
    message.optic_display_name, message.place_display_name = "Pole 3", "the gate"
    message.rule_display_name = "no entry at night"
    alert = raise_alert(contracts.rule_event(message, NOW), NOW)

    assert alert.summary == 'Car crossed line "the gate" of Pole 3 (rule "no entry at night").'
    assert (alert.rule, alert.place) == (message.rule, message.place)


def test_an_event_of_an_older_detector_has_ids_for_names() -> None:
    alert = raise_alert(contracts.rule_event(event(), NOW), NOW)

    assert alert.summary == 'Car crossed line "gate" of alimonda/north (rule "no-entry").'


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("the\u00a0gate", "the gate"),
        ("the gate\u202e\x00", "the gate"),
        ("two\nlines", "two lines"),
        (" \t", "gate"),
        ("x" * 501, "x" * 500),
    ],
)
def test_no_alert_is_lost_because_of_a_name(told: str, shown: str) -> None:
    message = event()
    message.place_display_name = told
    alert = raise_alert(contracts.rule_event(message, NOW), NOW)

    assert alert.summary == f'Car crossed line "{shown}" of alimonda/north (rule "no-entry").'


def read_or_refused(read: object, message: Message) -> None:
    try:
        read(message, NOW)  # type: ignore[operator]
    except InvalidArgument as error:
        assert error.reason == "INVALID_FIELD"  # noqa: PT017 - a refusal is one of the two allowed ends


@given(texts, texts, numbers, numbers, moments, st.floats())
def test_whatever_comes_as_an_event_is_read_or_refused(
    topic: str, quantity: str, mode: int, priority: int, moment: Timestamp, value: float
) -> None:
    message = event()
    message.topic, message.measurement.quantity, message.measurement.value = topic, quantity, value
    message.mode, message.priority = mode, priority  # type: ignore[assignment]
    message.capture_time.time.CopyFrom(moment)
    read_or_refused(contracts.rule_event, message)


@given(moments, st.integers(-(2**40), 2**40), numbers, numbers)
def test_whatever_comes_as_a_health_report_is_read_or_refused(
    moment: Timestamp, seconds: int, kind: int, impairment: int
) -> None:
    report = coverage_pb2.HealthReport(report_id=str(uuid.UUID(int=1)), optic=OPTIC, start_time=moment)
    report.interval.seconds = seconds
    report.impairments.append(impairment)  # type: ignore[arg-type]
    report.gaps.add(kind=kind, start_time=moment)
    read_or_refused(contracts.health_report, report)


@given(moments, moments, numbers)
def test_whatever_comes_as_an_observation_is_read_or_refused(start: Timestamp, end: Timestamp, number: int) -> None:
    batch = bus_pb2.ObservationBatch(optic=OPTIC)
    batch.observations.add(start_time=start, end_time=end, object_class=number)
    left_out: list[InvalidArgument] = []

    kept = arrivals.observations(batch, NOW, left_out.append)

    assert len(kept) + len(left_out) == 1
    assert all(error.violations for error in left_out)


@given(texts)
def test_whatever_comes_as_a_name_is_read_or_refused(text: str) -> None:
    for read in (contracts.alert_id, contracts.optic_name, contracts.recipient_name, contracts.request_id):
        try:
            read(text)
        except InvalidArgument as error:
            assert error.violations  # noqa: PT017 - likewise
