"""Between messages and the domain, and what the schema cannot say."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from argo.detector.v1 import bus_pb2, detection_service_pb2
from argo.registry.v1 import lease_service_pb2, scene_pb2
from argo.type.v1 import geometry_pb2, media_pb2, object_class_pb2
from detector.domain.analysis import FiredRule, FrameAnalysis
from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.detections import Detections, ObjectClass
from detector.domain.rules import Firing
from detector.domain.rules.line_crossing import Direction, LineCrossingParameters
from detector.domain.rules.schedule import Schedule
from detector.domain.rules.zone_intrusion import ZoneIntrusionParameters
from detector.domain.scene import Places
from detector.domain.tracking import Track
from detector.packing import FrameHeader, pack_event, pack_verdict
from detector.publisher import message_id, subject
from detector.unpacking import unpack_configuration
from mesh.errors import InvalidArgument

OPTIC = "devices/d/optics/o"


def header(sequence: int = 7, seconds: int = 1000) -> FrameHeader:
    time = media_pb2.CaptureTime(source=media_pb2.CaptureTime.SOURCE_SENDER_REPORT)
    time.time.seconds, time.time.nanos = seconds, 123456789
    return FrameHeader(sequence, time, 200, 100)


def fired(track: int = 5) -> FiredRule:
    specification = RuleSpecification(
        "rules/r", 9, 3, 2, frozenset(), (), ZoneIntrusionParameters("zones/z", 1.0), "No entry"
    )
    firing = Firing(1000.1, 998.5, "dwell", "s", 1.6, 1.0, 0.0, (track,), (ObjectClass.CAR,), (20, 10, 60, 30))
    return FiredRule(specification, "FieldDetector/ObjectsInside", "zones/z", firing)


def message() -> lease_service_pb2.OpticConfiguration:
    zone = scene_pb2.Zone(name="zones/z", display_name="The yard")
    zone.polygon.points.extend(geometry_pb2.Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1)))
    line = scene_pb2.Line(name="lines/l")
    line.polyline.points.extend(geometry_pb2.Point(x=x, y=0.5) for x in (0, 1))
    made = lease_service_pb2.OpticConfiguration(
        optic=OPTIC, site="sites/s", version=4, zones=[zone], lines=[line], display_name="North"
    )
    inside = made.rules.add(
        name="rules/i", version=2, mode=scene_pb2.Rule.MODE_LIVE, classes=[1, 3], display_name="Somebody in the yard"
    )
    inside.zone_intrusion.zone = "zones/z"
    inside.schedules.add(days_of_week=[1, 7], start_minute=1320, end_minute=360)
    crossed = made.rules.add(name="rules/c", mode=scene_pb2.Rule.MODE_SHADOW)
    crossed.line_crossing.line = "lines/l"
    crossed.line_crossing.direction = scene_pb2.LineCrossing.DIRECTION_LEFT_TO_RIGHT
    made.rules.add(name="rules/off", mode=scene_pb2.Rule.MODE_OFF)
    return made


def test_a_configuration_comes_whole_into_the_domain() -> None:
    found = unpack_configuration(message())
    inside, crossed = found.rules

    assert (found.optic, found.site, found.version) == (OPTIC, "sites/s", 4)
    assert found.places.zones == {"zones/z": ((0, 0), (1, 0), (1, 1))}
    assert inside.parameters == ZoneIntrusionParameters("zones/z", 1.0)
    assert inside.classes == {ObjectClass.PERSON, ObjectClass.CAR}
    assert inside.schedules == (Schedule(frozenset({1, 7}), 1320, 360),)
    assert crossed.parameters == LineCrossingParameters("lines/l", Direction.LEFT_TO_RIGHT)
    assert (found.display_name, inside.display_name, crossed.display_name) == ("North", "Somebody in the yard", "")
    assert found.places.display_names == {"zones/z": "The yard", "lines/l": ""}


def test_every_wrong_field_of_a_configuration_is_named_at_once() -> None:
    wrong = message()
    wrong.optic = "devices/D/optics/o"
    wrong.zones[0].polygon.points.pop()
    wrong.lines[0].polyline.points[0].x = float("nan")
    wrong.rules[0].zone_intrusion.minimum_dwell.seconds = -1
    wrong.rules[0].classes.append(object_class_pb2.ObjectClass.ValueType(77))
    wrong.rules[0].schedules[0].days_of_week.append(8)
    wrong.rules[0].schedules.add(start_minute=1440)
    wrong.rules[1].line_crossing.line = "lines/elsewhere"
    wrong.rules[1].line_crossing.direction = scene_pb2.LineCrossing.Direction.ValueType(9)
    wrong.rules.add(name="rules/new", mode=scene_pb2.Rule.MODE_LIVE)
    with pytest.raises(InvalidArgument) as caught:
        unpack_configuration(wrong)

    assert [violation.field.removeprefix("configuration.") for violation in caught.value.violations] == [
        "optic",
        "zones[0].polygon",
        "lines[0].polyline",
        "rules[0].zone_intrusion.minimum_dwell",
        "rules[0].classes",
        "rules[0].schedules[0].days_of_week",
        "rules[0].schedules[1]",
        "rules[1].line_crossing.line",
        "rules[1].line_crossing.direction",
        "rules[3].parameters",
    ]


def test_a_verdict_holds_every_detection_and_names_its_track() -> None:
    detections = Detections(
        np.array([[20, 10, 60, 30], [0, 0, 10, 10]], np.float32),
        np.array([0.9, 0.12], np.float32),
        np.array([ObjectClass.CAR, ObjectClass.PERSON], np.int16),
    )
    tracks = (
        Track(2**64 - 1, ObjectClass.CAR, (21, 10, 61, 30), (0, 0), 0, 1, 0),
        Track(8, ObjectClass.CAR, (90, 10, 99, 30), (0, 0), 0, 1, None),
    )
    verdict = pack_verdict(header(), detections, FrameAnalysis(tracks, (fired(),)), digest="ab", elapsed=0.25)

    assert verdict.outcome == detection_service_pb2.Verdict.OUTCOME_ANALYSED
    assert [found.track for found in verdict.detections] == [2**64 - 1, 0]
    assert (verdict.sequence, verdict.model_digest, verdict.elapsed.nanos) == (7, "ab", 250_000_000)
    assert list(verdict.fired_rules) == ["rules/r"]
    box = verdict.detections[0].box
    assert (box.left, box.top, box.width, box.height) == pytest.approx((0.1, 0.1, 0.2, 0.2))


def test_an_event_explains_itself() -> None:
    event = pack_event(OpticConfiguration(OPTIC, "sites/s"), header(), fired(), digest="ab")

    assert uuid.UUID(event.event_id).version == 5
    assert (event.optic, event.site, event.rule, event.rule_version) == (OPTIC, "sites/s", "rules/r", 9)
    assert (event.topic, event.place) == ("FieldDetector/ObjectsInside", "zones/z")
    assert (event.mode, event.priority) == (scene_pb2.Rule.MODE_LIVE, scene_pb2.PRIORITY_MEDIUM)
    assert event.capture_time == header().capture_time
    assert (event.start_time.seconds, event.start_time.nanos) == (998, 500_000_000)
    assert (event.measurement.value, event.measurement.threshold) == (1.6, 1.0)
    assert (list(event.classes), list(event.tracks)) == ([object_class_pb2.OBJECT_CLASS_CAR], [5])
    assert event.model_digest == "ab"


def test_an_event_carries_the_names_that_people_use() -> None:
    places = Places(display_names={"zones/z": "The yard", "zones/other": "The lane"})
    event = pack_event(OpticConfiguration(OPTIC, places=places, display_name="North"), header(), fired(), digest="ab")

    assert event.optic_display_name == "North"
    assert event.place_display_name == "The yard"
    assert event.rule_display_name == "No entry"


def test_an_event_of_things_without_names_leaves_them_empty() -> None:
    event = pack_event(OpticConfiguration(OPTIC), header(), fired(), digest="ab")

    assert (event.optic_display_name, event.place_display_name) == ("", "")


def test_the_same_firing_has_the_same_event_and_message_and_another_has_not() -> None:
    configuration = OpticConfiguration(OPTIC)
    again = [pack_event(configuration, header(sequence), fired(), digest="ab") for sequence in (7, 8)]
    others = [
        pack_event(configuration, header(), fired(track=6), digest="ab"),
        pack_event(configuration, header(seconds=1001), fired(), digest="ab"),
        pack_event(OpticConfiguration("devices/d/optics/p"), header(), fired(), digest="ab"),
    ]
    batches = [bus_pb2.EventBatch(optic=OPTIC, events=[event]) for event in (*again, *others)]

    assert len({event.event_id for event in (*again, *others)}) == 4
    assert len({message_id(batch) for batch in batches}) == 4


def test_the_subject_is_made_of_device_and_optic() -> None:
    assert subject("event", OPTIC) == "argo.v1.event.d.o"
    with pytest.raises(ValueError, match="not the name of an optic"):
        subject("event", "devices/d")


def test_the_domain_and_the_contract_know_the_same_classes() -> None:
    contract = {
        name.removeprefix("OBJECT_CLASS_"): value.number
        for name, value in object_class_pb2.ObjectClass.DESCRIPTOR.values_by_name.items()
        if value.number
    }

    assert contract == {member.name: member.value for member in ObjectClass}
