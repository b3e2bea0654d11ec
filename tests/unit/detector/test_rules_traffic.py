"""Rules about vehicles, lanes and the carriageway, in a simulated street."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from argo.registry.v1 import scene_pb2
from bench.scripted.traffic import CALIBRATION, HEIGHT, WIDTH, Actor, area, drive, halt
from detector.domain.detections import ObjectClass
from detector.domain.lanes import Course, angles_between
from detector.domain.rules import ClassFilter, RuleCannotRunError, RuleParameters
from detector.domain.rules import wrong_way as wrong
from detector.domain.rules.pedestrian_on_carriageway import PedestrianOnCarriagewayParameters
from detector.domain.rules.slow_traffic import SlowTrafficParameters
from detector.domain.rules.stopped_vehicle import StoppedVehicleParameters
from detector.domain.rules.wrong_way import Drive, Heading, WrongWayParameters
from detector.domain.scene import Lane, Presence, Scene
from detector.parameters import unpack_parameters
from tests.unit.detector.street import (
    END,
    LANE,
    OTHER_TRAFFIC,
    PLACES,
    START,
    WALK,
    ZONE,
    Film,
    analyse,
    build,
    fires,
    presence,
    seconds,
)

RATES = pytest.mark.parametrize("rate", [5.0, 25.0])
NOISES = pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])

STANDING = StoppedVehicleParameters(ZONE)
SLOW = SlowTrafficParameters(LANE, free_flow=50 / 3.6, minimum_duration=15.0)

# Wrong way ------------------------------------------------------------------------------------------------------------

AGAINST = WrongWayParameters(LANE)
GHOST_DRIVER = drive(1, END, START, 10.0)


def test_the_table_of_wrong_way_is_whole_and_fires_once_per_drive() -> None:
    assert set(wrong.TRANSITIONS) == set(itertools.product(Drive, Heading))
    assert {key for key, (_, told) in wrong.TRANSITIONS.items() if told} == {
        (Drive.ALONG, Heading.PROVEN),
        (Drive.AGAINST, Heading.PROVEN),
    }
    assert all(wrong.TRANSITIONS[state, Heading.ALONG][0] is Drive.ALONG for state in Drive)
    assert all(wrong.TRANSITIONS[state, Heading.UNCLEAR][0] is state for state in Drive)


@RATES
@NOISES
def test_who_drives_against_the_lane_is_told_once_within_three_seconds(rate: float, noise: float) -> None:
    film = Film([GHOST_DRIVER, drive(2, START, END, 12.0)], rate, noise)

    (firing,) = fires(build(AGAINST), film, 6)

    assert (firing.tracks, firing.classes) == ((1,), (ObjectClass.CAR,))
    assert firing.time - firing.start_time >= 2.0
    assert firing.time - 1000.0 <= 3.0
    assert (firing.quantity, firing.unit, firing.threshold) == ("angle to the lane's course", "degrees", 120.0)
    assert firing.value == pytest.approx(180, abs=5)
    assert 0.0 < firing.uncertainty < 10.0


@RATES
def test_wrong_way_works_through_the_tracker(rate: float) -> None:
    _, fired = analyse(PLACES, Film([GHOST_DRIVER, drive(2, START, END, 12.0)], rate), 6, wrong=AGAINST)

    assert len(fired) == 1
    assert fired[0].time - 1000.0 <= 3.0


@pytest.mark.parametrize(
    "actors",
    [
        [drive(1, START, END, 10.0)],
        [drive(1, START, END, 1.5)],
        [halt(1, (2, 30), arrives=2, leaves=6)],
        # Backing into a parking space: slowly, or not far enough.
        [drive(1, (2, 40), (2, 33), 2.0)],
        [drive(1, (2, 40), (2, 20), 0.8)],
        # Across the lane, and in the other one.
        [drive(1, (10, 30), (-10, 30), 8.0)],
        [drive(1, (-2, 58), (-2, 12), 10.0)],
        [],
    ],
)
@NOISES
def test_who_does_not_drive_against_the_lane_is_not_told(actors: list[Actor], noise: float) -> None:
    assert not fires(build(AGAINST), Film(actors, 5.0, noise), 22)


def test_bicycles_go_both_ways_unless_the_filter_names_them() -> None:
    film = Film([drive(1, (2, 40), START, 6.0, kind=ObjectClass.BICYCLE)])

    assert not fires(build(AGAINST), film, 5)
    assert len(fires(build(AGAINST, ObjectClass.BICYCLE), film, 5)) == 1
    assert not fires(build(AGAINST, ObjectClass.BUS), Film([GHOST_DRIVER]), 5)


def test_the_course_of_a_bend_is_that_of_the_place() -> None:
    # North, then east.
    course = Course(Lane((), area((0, 14), (0, 30), (12, 30))), CALIBRATION)

    found = course.at(np.array([(1.0, 20.0), (8.0, 29.0), (0.0, 10.0)]))

    assert found.along == pytest.approx([6, 24, -4], abs=0.01)
    assert angles_between(found.direction, np.array([(0.0, 1.0)] * 3)) == pytest.approx([0, 90, 0], abs=0.01)


def test_a_course_at_the_horizon_cannot_run() -> None:
    sky = replace(PLACES, lanes={LANE: Lane(PLACES.lanes[LANE].polygon, ((0.5, 0.9), (0.5, 0.0)))})

    for parameters in (AGAINST, SlowTrafficParameters(LANE)):
        with pytest.raises(RuleCannotRunError, match="horizon"):
            parameters.build(sky, ClassFilter())


def shrunk(scene: Scene) -> Scene:
    """The same frame at half its size."""
    smaller = tuple(
        item._replace(
            foot=(item.foot[0] / 2, item.foot[1] / 2),
            height=item.height / 2,
            box=(item.box[0] / 2, item.box[1] / 2, item.box[2] / 2, item.box[3] / 2),
        )
        for item in scene.present
    )
    return replace(scene, width=WIDTH // 2, height=HEIGHT // 2, present=smaller)


def test_a_picture_of_another_size_is_the_same_street() -> None:
    rule = build(AGAINST)
    film = Film([GHOST_DRIVER])
    scenes = (shrunk(scene) if number >= 12 else scene for number, scene in enumerate(film.scenes(6)))

    assert len([firing for scene in scenes for firing in rule.step(scene)]) == 1


# Pedestrian on the carriageway ----------------------------------------------------------------------------------------

ON_FOOT = PedestrianOnCarriagewayParameters(ZONE)


@RATES
@NOISES
def test_a_pedestrian_on_the_carriageway_is_told_after_two_seconds(rate: float, noise: float) -> None:
    crossing = drive(1, (8, 30), (-8, 30), 1.3, kind=ObjectClass.PERSON)

    (firing,) = fires(build(ON_FOOT), Film([crossing, GHOST_DRIVER], rate, noise), 12)

    assert (firing.tracks, firing.classes) == ((1,), (ObjectClass.PERSON,))
    assert (firing.quantity, firing.unit, firing.threshold) == ("dwell", "s", 2.0)
    # Three and a bit seconds to the kerb, then two.
    assert firing.time - 1000.0 == pytest.approx(4 / 1.3 + 2, abs=0.5)


@RATES
def test_pedestrian_on_the_carriageway_works_through_the_tracker(rate: float) -> None:
    film = Film([drive(1, (8, 20), (-8, 20), 1.3, kind=ObjectClass.PERSON), *OTHER_TRAFFIC], rate)

    _, fired = analyse(PLACES, film, 12, on_foot=ON_FOOT)

    assert seconds(fired) == [pytest.approx(4 / 1.3 + 2, abs=0.7)]


def test_who_stays_on_the_pavement_and_vehicles_are_no_pedestrians() -> None:
    film = Film([drive(1, (6, 14), (6, 30), 1.3, kind=ObjectClass.PERSON), drive(2, START, END, 8.0)])

    assert not fires(build(ON_FOOT), film, 10)


def box(left: float, top: float, right: float, bottom: float, track: int, kind: ObjectClass) -> Presence:
    return presence(track, kind, (left, top, right, bottom))


def test_riders_and_drivers_are_told_from_pedestrians() -> None:
    bicycle = box(100, 300, 200, 400, 1, ObjectClass.BICYCLE)
    cyclist = box(125, 240, 175, 385, 2, ObjectClass.PERSON)
    beside = box(210, 240, 260, 400, 3, ObjectClass.PERSON)
    car = box(400, 300, 600, 420, 4, ObjectClass.CAR)
    driver = box(430, 310, 470, 350, 5, ObjectClass.PERSON)
    before_the_car = box(500, 280, 550, 425, 6, ObjectClass.PERSON)

    def carried(*present: Presence) -> set[int]:
        scene = Scene(0.0, WIDTH, HEIGHT, present)
        return {item.track for item in scene.those(scene.riders)}

    assert carried(bicycle, cyclist, beside, car, driver, before_the_car) == {2, 5}
    assert carried(cyclist, driver) == carried() == set()


@pytest.mark.parametrize("missed_bicycle", [0.0, 0.5])
def test_a_cyclist_is_no_pedestrian_though_the_bicycle_is_often_missed(missed_bicycle: float) -> None:
    rule = build(ON_FOOT)
    for number in range(60):
        x = 500.0 + 2 * number
        bicycle = box(x, 300, x + 80, 380, 1, ObjectClass.BICYCLE)
        cyclist = box(x + 20, 250, x + 60, 370, 2, ObjectClass.PERSON)
        seen = (cyclist,) if number % 10 < 10 * missed_bicycle and number else (bicycle, cyclist)
        assert not rule.step(Scene(number / 5, WIDTH, HEIGHT, seen))


def test_a_zone_of_another_kind_is_no_carriageway() -> None:
    with pytest.raises(RuleCannotRunError, match="kind"):
        build(PedestrianOnCarriagewayParameters(WALK))
    with pytest.raises(RuleCannotRunError, match="kind"):
        ON_FOOT.build(replace(PLACES, kinds={}), ClassFilter())
    with pytest.raises(RuleCannotRunError, match="persons"):
        build(ON_FOOT, ObjectClass.CAR)


# All of them ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [AGAINST, STANDING, SLOW])
def test_without_calibration_a_rule_that_needs_metres_says_so(parameters: RuleParameters) -> None:
    with pytest.raises(RuleCannotRunError, match="calibrat"):
        parameters.build(replace(PLACES, calibration=None), ClassFilter())


@pytest.mark.parametrize("parameters", [AGAINST, STANDING, ON_FOOT, SLOW])
def test_an_empty_street_says_nothing(parameters: RuleParameters) -> None:
    rule = build(parameters)

    assert not [firing for number in range(300) for firing in rule.step(Scene(number / 5, WIDTH, HEIGHT, ()))]


def test_everybody_of_a_crowd_is_looked_at() -> None:
    rule = build(ON_FOOT)
    places = [(-3.5 + 7 * (index % 20) / 19, 20.0 + 2 * (index // 20)) for index in range(200)]
    crowd = [halt(index, place, arrives=0, kind=ObjectClass.PERSON) for index, place in enumerate(places)]

    assert len(fires(rule, Film(crowd, 2.0), 4)) == 200


def rule_message(kind: str, **fields: object) -> scene_pb2.Rule:
    message = scene_pb2.Rule()
    parameters = getattr(message, kind)
    parameters.SetInParent()
    for name, value in fields.items():
        if name == "minimum_duration":
            parameters.minimum_duration.FromMilliseconds(round(1000 * float(str(value))))
        else:
            setattr(parameters, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (rule_message("wrong_way", lane=LANE), WrongWayParameters(LANE, 120.0, 2.0, 10.0)),
        (
            rule_message(
                "wrong_way", lane=LANE, minimum_angle_degrees=150, minimum_duration=3, minimum_distance_metres=20
            ),
            WrongWayParameters(LANE, 150.0, 3.0, 20.0),
        ),
        (rule_message("stopped_vehicle", zone=ZONE), StoppedVehicleParameters(ZONE, 10.0, 1 / 3.6)),
        (
            rule_message("stopped_vehicle", zone=ZONE, minimum_duration=15, maximum_speed_kmh=3.6),
            StoppedVehicleParameters(ZONE, 15.0, 1.0),
        ),
        (rule_message("pedestrian_on_carriageway", zone=ZONE), PedestrianOnCarriagewayParameters(ZONE, 2.0)),
        (rule_message("slow_traffic", lane=LANE), SlowTrafficParameters(LANE, 0.0, 0.5, 30.0)),
        (
            rule_message("slow_traffic", lane=LANE, free_flow_kmh=72, maximum_share=0.3, minimum_duration=60),
            SlowTrafficParameters(LANE, 20.0, 0.3, 60.0),
        ),
    ],
)
def test_parameters_come_from_the_registry_with_their_defaults(
    message: scene_pb2.Rule, expected: RuleParameters
) -> None:
    assert unpack_parameters(message, PLACES) == (expected, [])


def test_parameters_that_cannot_be_used_are_named() -> None:
    angle = rule_message("wrong_way", lane="lanes/none", minimum_angle_degrees=200)
    share = rule_message("slow_traffic", lane=LANE, maximum_share=math.nan, free_flow_kmh=-1)

    assert [field for field, _ in unpack_parameters(angle, PLACES)[1]] == [
        "wrong_way.lane",
        "wrong_way.minimum_angle_degrees",
    ]
    assert [field for field, _ in unpack_parameters(share, PLACES)[1]] == [
        "slow_traffic.free_flow_kmh",
        "slow_traffic.maximum_share",
    ]
