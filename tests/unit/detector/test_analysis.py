from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest

from detector.domain.analysis import OpticAnalysis
from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.detections import Detections, ObjectClass
from detector.domain.flows import LONGEST_STEP_SECONDS, LineCount
from detector.domain.observations import PATH_POINTS
from detector.domain.rules.line_crossing import Direction, LineCrossingParameters
from detector.domain.rules.schedule import Schedule
from detector.domain.rules.zone_intrusion import ZoneIntrusionParameters
from detector.domain.scene import Places, Scene, presences
from detector.domain.tracker_parameters import TrackerParameters
from detector.domain.tracking import Track

ZONE, LINE = "zones/right", "lines/middle"
PLACES = Places(
    zones={ZONE: ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))},
    lines={LINE: ((0.5, 1.0), (0.5, 0.0))},
)


def rule(
    name: str,
    parameters: LineCrossingParameters | ZoneIntrusionParameters,
    *,
    version: int = 1,
    schedules: tuple[Schedule, ...] = (),
) -> RuleSpecification:
    return RuleSpecification(name, version, 3, 2, frozenset(), schedules, parameters)


CROSSED = rule("rules/crossed", LineCrossingParameters(LINE, Direction.ANY))
INSIDE = rule("rules/inside", ZoneIntrusionParameters(ZONE, 1.0))


def analysis(*rules: RuleSpecification, version: int = 1) -> OpticAnalysis:
    ids = itertools.count(100)
    return OpticAnalysis(
        OpticConfiguration("devices/d/optics/o", "sites/s", version, PLACES, rules),
        new_id=lambda: next(ids),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )


def one(x: float) -> Detections:
    box = np.array([[x - 10, 40, x + 10, 100]], np.float32)
    return Detections(box, np.array([0.8], np.float32), np.array([ObjectClass.PERSON], np.int16))


def walk(subject: OpticAnalysis, start: int, stop: int, *, begin: float = 0.0, size: int = 200) -> list[str]:
    """Rules that fire while one person walks from x to x, four pixels and a tenth of a second a frame."""
    fired: list[str] = []
    for number, x in enumerate(range(start, stop, 4)):
        found = subject.step(begin + number / 10, size, size, one(x))
        fired += [item.specification.name for item in found.fired]
    return fired


def test_a_walk_through_the_scene_fires_each_rule_once() -> None:
    subject = analysis(CROSSED, INSIDE)

    assert walk(subject, 40, 180) == ["rules/crossed", "rules/inside"]


def test_a_walk_is_observed_and_counted() -> None:
    subject = analysis()
    walk(subject, 40, 180)
    (observation,) = subject.observations()
    flow = subject.flow()
    subject.finish()
    (last,) = subject.observations()

    assert (observation.zones, observation.lines, observation.finished) == ((ZONE,), (LINE,), False)
    assert observation.end_time == pytest.approx(3.4)
    assert 2 < len(observation.path) < 10
    assert all(0 <= value <= 1 for point in observation.path for value in point.foot)
    assert flow is not None
    # The line runs up the picture: its right side is the picture's right side.
    assert flow.lines == (LineCount(LINE, ObjectClass.PERSON, left_to_right=1, right_to_left=0),)
    assert flow.analysed == pytest.approx(flow.interval) == pytest.approx(3.4)
    assert flow.zones[0].maximum_occupancy == 1
    assert flow.zones[0].mean_occupancy == pytest.approx(2.0 / 3.4, abs=0.06)
    assert (last.track, last.finished) == (observation.track, True)
    assert subject.observations() == []


def test_time_that_was_not_analysed_is_not_counted_as_analysed() -> None:
    subject = analysis()
    walk(subject, 40, 60)
    walk(subject, 60, 80, begin=60.0)
    flow = subject.flow()

    assert flow is not None
    assert flow.interval == pytest.approx(60.4)
    assert flow.analysed == pytest.approx(0.4 + LONGEST_STEP_SECONDS + 0.4)


def test_a_long_path_stays_small() -> None:
    subject = analysis()
    for number in range(2000):
        subject.step(
            number / 10,
            4000,
            200,
            one(100 + (number * 20) % 3800 if (number // 190) % 2 == 0 else 3900 - (number * 20) % 3800),
        )

    assert all(len(observation.path) <= PATH_POINTS for observation in subject.observations())


def test_an_observation_is_published_only_when_something_is_new() -> None:
    subject = analysis()
    walk(subject, 40, 80)
    subject.observations()

    assert subject.observations() == []


def test_a_rule_outside_its_schedule_neither_fires_nor_remembers() -> None:
    # The epoch began on a Thursday at midnight, UTC.
    morning = Schedule(start_minute=60, end_minute=120)
    subject = analysis(rule("rules/inside", ZoneIntrusionParameters(ZONE, 1.0), schedules=(morning,)))

    assert walk(subject, 40, 180) == []
    assert walk(subject, 40, 180, begin=3700.0) == ["rules/inside"]


def test_a_new_configuration_keeps_the_memory_of_what_did_not_change() -> None:
    subject = analysis(CROSSED, INSIDE)
    before = walk(subject, 40, 160)
    subject.configure(OpticConfiguration("devices/d/optics/o", "sites/s", 2, PLACES, (CROSSED, INSIDE)))

    assert before == ["rules/crossed", "rules/inside"]
    # The stay that was reported is not reported again.
    assert walk(subject, 160, 190, begin=3.0) == []


def test_a_changed_rule_begins_anew() -> None:
    subject = analysis(INSIDE)
    walk(subject, 40, 160)
    changed = rule("rules/inside", ZoneIntrusionParameters(ZONE, 0.2), version=2)
    subject.configure(OpticConfiguration("devices/d/optics/o", "sites/s", 2, PLACES, (changed,)))

    assert walk(subject, 160, 180, begin=3.0) == ["rules/inside"]


def test_a_rule_whose_place_is_missing_is_refused_and_the_old_configuration_stays() -> None:
    subject = analysis(INSIDE)
    with pytest.raises(KeyError):
        subject.configure(OpticConfiguration("devices/d/optics/o", rules=(CROSSED,)))

    assert subject.configuration.version == 1
    assert walk(subject, 40, 180) == ["rules/inside"]


def test_a_picture_of_another_size_ends_the_tracks() -> None:
    subject = analysis()
    walk(subject, 40, 80)
    walk(subject, 40, 80, begin=1.0, size=400)
    found = {observation.track: observation.finished for observation in subject.observations()}

    assert sorted(found.values()) == [False, True]


def test_who_leaves_the_picture_at_its_lower_edge_is_still_in_the_zone_that_ends_there() -> None:
    track = Track(1, ObjectClass.PERSON, (90.0, 60.0, 110.0, 103.0), (0.0, 0.0), 0.0, 0.0, 0)
    scene = Scene(0.0, 200, 100, presences([track], None, 200, 100))

    assert [presence.track for presence in scene.occupants(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))] == [1]
