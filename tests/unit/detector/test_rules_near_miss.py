"""Near misses: the measures of the Surrogate Safety Assessment Model, alone and in a simulated street."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argo.registry.v1 import scene_pb2
from bench.scripted.traffic import CALIBRATION, HEIGHT, WIDTH, Actor, area, drive, halt
from detector.domain.detections import ObjectClass
from detector.domain.encounters import RoadUsers, VisitedGround, crossing, times_to_collision
from detector.domain.rules import ClassFilter, RuleCannotRunError
from detector.domain.rules.near_miss import TRANSITIONS, Encounter, NearMissCount, NearMissParameters, Outlook
from detector.domain.scene import Places, Scene
from detector.parameters import unpack_parameters
from tests.unit.detector.street import Film, analyse, fires

ZONE = "zones/crossing"
PLACES = Places(zones={ZONE: area((-12, 12), (12, 12), (12, 58), (-12, 58))}, calibration=CALIBRATION)
PARAMETERS = NearMissParameters(ZONE)
RATES = pytest.mark.parametrize("rate", [5.0, 25.0])

PERSON = ObjectClass.PERSON
CAR_SOUTH = drive(1, (0, 56), (0, 14), 8.0)
"""Its rear leaves the way of somebody who crosses at 30 m north after 3.56 s."""


def walker(begin: float, *, kind: ObjectClass = PERSON) -> Actor:
    """Crosses from the west at 30 m north, and is at the side of the car's way 2.57 s after it began."""
    return drive(2, (-5, 30), (5, 30), 1.5, begin=begin, kind=kind)


def count(film: Film, seconds: float, *classes: ObjectClass) -> NearMissCount:
    rule = PARAMETERS.build(PLACES, ClassFilter(frozenset(classes)))
    assert fires(rule, film, seconds) == []
    return rule.collect()


def car(east: float, north: float, velocity: tuple[float, float], *, track: int = 1) -> RoadUsers:
    """One of two metres by four, heading as it drives."""
    speed = math.hypot(*velocity) or 1.0
    ahead = (velocity[0] / speed, velocity[1] / speed) if any(velocity) else (0.0, 1.0)
    return road_user(track, (east, north), ahead, 2.0, 1.0, velocity)


def road_user(
    track: int,
    centre: tuple[float, float],
    ahead: tuple[float, float],
    half_length: float,
    half_width: float,
    velocity: tuple[float, float] = (0.0, 0.0),
    *,
    motor: bool = True,
) -> RoadUsers:
    return RoadUsers(
        np.array([track], np.uint64),
        np.array([motor]),
        np.array([centre]),
        np.array([ahead]),
        np.array([half_length]),
        np.array([half_width]),
        np.array([velocity]),
    )


def together(users: list[RoadUsers]) -> RoadUsers:
    columns = [field.name for field in fields(RoadUsers)]
    return RoadUsers(*(np.concatenate([getattr(user, column) for user in users]) for column in columns))


def time_to_collision(first: RoadUsers, second: RoadUsers) -> float:
    return float(times_to_collision(first, second)[0])


# The measures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        # Bumper to bumper: 20 m less two halves, at 8 m/s.
        (car(0, 0, (0, 10)), car(0, 20, (0, 2)), 2.0),
        (car(0, 0, (0, 10)), car(0, 20, (0, 0)), 1.6),
        # Head on.
        (car(0, 0, (0, 10)), car(0, 24, (0, -10)), 1.0),
        # At right angles: the side of the one is reached by the front of the other.
        (car(0, 0, (0, 5)), car(8, 10, (-4, 0)), 1.4),
        # In the next lane, one after the other, apart.
        (car(0, 0, (0, 10)), car(3, 20, (0, -10)), math.inf),
        (car(0, 0, (0, 5)), car(0, 20, (0, 5)), math.inf),
        (car(0, 0, (0, 5)), car(0, -20, (0, 2)), math.inf),
        (car(0, 0, (0, 5)), car(1, 1, (0, 0)), 0.0),
    ],
)
def test_time_to_collision_is_that_of_rectangles(first: RoadUsers, second: RoadUsers, seconds: float) -> None:
    assert time_to_collision(first, second) == pytest.approx(seconds)
    assert time_to_collision(second, first) == pytest.approx(seconds)


places = st.floats(-40, 40)
speeds = st.tuples(st.floats(-15, 15), st.floats(-15, 15))


@given(places, places, speeds, speeds)
def test_time_to_collision_is_when_they_touch_first(
    east: float, north: float, one: tuple[float, float], other: tuple[float, float]
) -> None:
    first, second = car(0, 0, one), car(east, north, other)
    seconds = time_to_collision(first, second)

    def gap(time: float) -> float:
        apart = (second.centre + second.velocity * time - first.centre - first.velocity * time)[0].tolist()
        gaps: list[float] = [
            abs(apart[0] * axis[0] + apart[1] * axis[1]) - shadow(first, axis) - shadow(second, axis)
            for ahead in (first.ahead[0].tolist(), second.ahead[0].tolist())
            for axis in (ahead, (-ahead[1], ahead[0]))
        ]
        return max(gaps)

    def shadow(user: RoadUsers, axis: tuple[float, float]) -> float:
        """Half of it, on an axis."""
        east, north = user.ahead[0].tolist()
        along, across = abs(east * axis[0] + north * axis[1]), abs(east * axis[1] - north * axis[0])
        return float(user.half_length[0] * along + user.half_width[0] * across)

    checked = [index * 0.05 for index in range(100) if index * 0.05 < seconds - 1e-6]
    assert all(gap(time) > -1e-6 for time in checked)
    if seconds < 1e3:
        assert gap(seconds) <= 1e-6


def test_courses_cross_from_thirty_degrees_on() -> None:
    angles = np.radians([0, 29, 31, 90, 180])
    courses = np.stack([np.sin(angles), np.cos(angles)], axis=1)

    assert crossing(np.repeat(courses[:1], 5, axis=0), courses).tolist() == [False, False, True, True, True]


def test_post_encroachment_time_is_from_the_one_leaving_to_the_other_coming() -> None:
    ground, found = VisitedGround(60.0), []
    for tenth in range(80):
        first = [car(0, -10 + tenth * 0.5, (0, 5))] if tenth <= 40 else []
        second = [car(-16 + tenth * 0.4, 0, (4, 0), track=2)] if tenth >= 20 else []
        found += ground.visit(together(first + second), tenth / 10)

    # The first one's rear leaves the second one's way, at 1 m north, after 2.6 s; its front is at the first one's side
    # after 3.25 s.
    assert {(item.first, item.second) for item in found} == {(1, 2)}
    assert min(item.seconds for item in found) == pytest.approx(0.65, abs=0.15)


def test_the_way_between_two_frames_is_gone_over_too() -> None:
    ground = VisitedGround(60.0)
    for second in range(5):
        ground.visit(road_user(1, (0, -12 + 6 * second), (0, 1), 0.5, 0.3), float(second))

    # Between the places at -6 and 0.
    assert [item.first for item in ground.visit(car(0, -3, (4, 0), track=2), 5.0)] == [1]


def test_two_of_whom_none_is_a_motor_vehicle_do_not_meet() -> None:
    ground = VisitedGround(60.0)
    ground.visit(road_user(1, (0, 0), (0, 1), 0.9, 0.3, motor=False), 0.0)

    assert not ground.visit(road_user(2, (0, 0), (1, 0), 0.25, 0.25, motor=False), 1.0)
    assert [item.first for item in ground.visit(road_user(3, (0, 0), (0, 1), 2.2, 0.9), 2.0)] == [2]


class GroundOneByOne:
    """VisitedGround, written for one road user after the other."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._visits: dict[tuple[int, int], tuple[int, float, tuple[float, float], bool]] = {}
        self._centres: dict[int, tuple[float, float]] = {}

    def visit(self, user: RoadUsers, time: float) -> dict[tuple[int, int], float]:
        track, centre, ahead = int(user.tracks[0]), user.centre[0].tolist(), user.ahead[0].tolist()
        shortest: dict[tuple[int, int], float] = {}
        for cell in self._cells(user, self._centres.get(track, centre)):
            first, when, course, motor = self._visits.get(cell, (track, time, ahead, False))
            cross = course[0] * ahead[0] + course[1] * ahead[1] < math.cos(math.radians(30))
            if first != track and cross and (motor or user.motor[0]) and time - when <= self._memory:
                shortest[first, track] = min(shortest.get((first, track), math.inf), time - when)
            self._visits[cell] = (track, time, ahead, bool(user.motor[0]))
        self._centres[track] = centre
        return shortest

    def _cells(self, user: RoadUsers, before: tuple[float, float]) -> set[tuple[int, int]]:
        (east, north), (ahead_east, ahead_north) = user.centre[0].tolist(), user.ahead[0].tolist()
        length, width = float(user.half_length[0]), float(user.half_width[0])
        gone = max(0.0, (east - before[0]) * ahead_east + (north - before[1]) * ahead_north)
        return {
            (
                math.floor((east + along * ahead_east - across * ahead_north) / 0.5),
                math.floor((north + along * ahead_north + across * ahead_east) / 0.5),
            )
            for along in steps(-length - gone, length)
            for across in steps(-width, width)
        }


def steps(low: float, high: float) -> list[float]:
    count = max(1, math.ceil((high - low) / 0.5))
    return [low + (high - low) * index / count for index in range(count + 1)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_many_on_the_ground_meet_as_they_would_one_by_one(seed: int) -> None:
    source = np.random.default_rng(seed)
    ground, one_by_one = VisitedGround(3.0), GroundOneByOne(3.0)
    # No corner may lie on the edge of a cell, where the last bit decides.
    centres, turns = source.uniform(-6, 6, (6, 2)), source.uniform(0, 7, 6)
    sizes, motor = source.uniform(0.26, 2.4, (6, 2)), source.random(6) < 0.5
    for frame in range(25):
        time = frame * 0.21
        turns += source.normal(0, 0.3, 6)
        ahead = np.stack([np.sin(turns), np.cos(turns)], axis=1)
        centres = np.clip(centres + ahead * 0.8, -6, 6)
        users = [
            road_user(index + 1, tuple(centres[index]), tuple(ahead[index]), *sizes[index], motor=bool(motor[index]))
            for index in np.flatnonzero(source.random(6) < 0.8).tolist()
        ]
        expected: dict[tuple[int, int], float] = {}
        for user in users:
            expected |= one_by_one.visit(user, time)
        found = ground.visit(together(users), time) if users else []

        assert {(item.first, item.second): item.seconds for item in found} == pytest.approx(expected)


# The rule -------------------------------------------------------------------------------------------------------------


def test_the_table_of_near_miss_is_whole_and_counts_a_conflict_once() -> None:
    assert set(TRANSITIONS) == set(itertools.product(Encounter, Outlook))
    assert {key for key, (_, counts) in TRANSITIONS.items() if counts} == {(Encounter.CONFLICT, Outlook.PARTED)}
    assert all(TRANSITIONS[state, Outlook.PARTED][0] is Encounter.APART for state in Encounter)
    assert all(TRANSITIONS[state, Outlook.SUSTAINED][0] is Encounter.CONFLICT for state in Encounter)


@RATES
@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize(("begin", "seconds"), [(2.5, 1.51), (3.5, 2.51), (5.5, 4.51)])
def test_who_crosses_after_a_car_is_counted_with_the_time_between(
    rate: float, noise: float, begin: float, seconds: float
) -> None:
    found = count(Film([CAR_SOUTH, walker(begin)], rate, noise), 16)

    assert (found.time_to_collision, found.post_encroachment) == (0, 1)
    assert found.shortest_post_encroachment_time == pytest.approx(seconds, abs=0.35)


@RATES
def test_a_vehicle_is_where_its_middle_is_and_not_the_side_that_is_seen(rate: float) -> None:
    # Off the middle of the picture and slow: the near side would be half a second off, along and across.
    south = drive(1, (9, 50), (9, 16), 4.0)
    east = drive(2, (4, 30), (11.5, 30), 1.5, begin=4.5, kind=PERSON)

    found = count(Film([south, east], rate, noise=0.0), 14)

    # Its rear has left after (50 - 27.55) / 4 s, the other is at its side 3.85 / 1.5 s after it began.
    assert found.shortest_post_encroachment_time == pytest.approx(4.5 + 3.85 / 1.5 - (50 - 27.55) / 4, abs=0.25)


def test_who_rides_a_motorcycle_is_not_counted_beside_it() -> None:
    ridden = [
        drive(track, (2, 50), (2, 37), 8.0, begin=0.5, kind=kind)
        for track, kind in ((2, ObjectClass.MOTORCYCLE), (3, PERSON))
    ]

    assert count(Film([drive(1, (2, 14), (2, 34), 8.0), *ridden], 10.0), 8).time_to_collision == 1


@RATES
def test_a_collision_course_is_counted(rate: float) -> None:
    # Both brake two metres before they would meet head on.
    found = count(Film([drive(1, (2, 14), (2, 34), 8.0), drive(2, (2, 56), (2, 40), 8.0)], rate), 8)

    assert found.time_to_collision == 1
    assert 0.0 < found.shortest_time_to_collision < 1.0


@RATES
def test_near_misses_are_counted_through_the_tracker_and_never_fire(rate: float) -> None:
    analysis, fired = analyse(PLACES, Film([CAR_SOUTH, walker(2.5)], rate), 14, near=PARAMETERS)
    flow = analysis.flow()

    assert fired == []
    assert flow is not None
    (found,) = flow.near_misses
    assert (found.zone, found.time_to_collision, found.post_encroachment) == (ZONE, 0, 1)
    assert found.shortest_post_encroachment_time == pytest.approx(1.51, abs=0.35)
    for _, detections in Film([]).detections(1):
        analysis.step(1020.0, WIDTH, HEIGHT, detections)
    after = analysis.flow()
    assert after is not None
    assert after.near_misses == (NearMissCount(ZONE),)


@pytest.mark.parametrize(
    ("actors", "seconds"),
    [
        # Two streams that pass each other, and those who follow each other at two seconds.
        (
            [drive(track, (2, 14), (2, 56), 14.0, begin=2.0 * track) for track in range(6)]
            + [drive(50 + track, (-1.5, 56), (-1.5, 14), 14.0, begin=1.7 * track) for track in range(7)],
            16,
        ),
        # Long after the car; beside it; and two pedestrians who walk into each other.
        ([CAR_SOUTH, walker(9.0)], 18),
        ([CAR_SOUTH, drive(2, (3.5, 20), (3.5, 50), 1.5, kind=PERSON)], 10),
        ([drive(1, (0, 40), (0, 14), 1.5, kind=PERSON), drive(2, (0, 15), (0, 40), 1.5, kind=PERSON)], 16),
        # A pedestrian who walks up to a car that is parked.
        ([halt(1, (0, 30), arrives=-5.0), drive(2, (-8, 30), (-1.3, 30), 1.5, kind=PERSON)], 8),
        ([], 5),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_ordinary_traffic_is_no_near_miss(actors: list[Actor], seconds: float, noise: float) -> None:
    assert count(Film(actors, 5.0, noise), seconds) == NearMissCount(ZONE)


def test_who_stops_behind_another_as_drivers_do_is_no_near_miss() -> None:
    # From 30 km/h at 2 m/s2, to 2.6 m behind the other: never less than 1.6 s.
    def braking(time: float) -> tuple[float, float, float] | None:
        left = max(0.0, 5.4 - time)
        return (2, 38 - left**2, 0) if left <= 4.2 else None

    film = Film([halt(1, (2, 45), arrives=-5.0), Actor(2, ObjectClass.CAR, braking)], 25.0, noise=0.0)

    assert count(film, 10) == NearMissCount(ZONE)


def test_both_must_be_among_the_classes_of_the_rule() -> None:
    film = Film([CAR_SOUTH, walker(2.5)], 5.0)

    assert count(film, 14, ObjectClass.CAR, PERSON).post_encroachment == 1
    assert count(film, 14, ObjectClass.CAR).post_encroachment == 0
    assert count(Film([CAR_SOUTH, walker(2.5, kind=ObjectClass.BICYCLE)], 5.0), 14).post_encroachment == 1


def test_a_reset_keeps_what_was_counted_and_forgets_who_was_there() -> None:
    rule = PARAMETERS.build(PLACES, ClassFilter())
    fires(rule, Film([CAR_SOUTH, walker(2.5)], 5.0), 14)
    rule.reset()

    assert rule.collect().post_encroachment == 1
    assert rule.collect() == NearMissCount(ZONE)


def test_a_clock_that_is_set_back_is_no_near_miss() -> None:
    rule = PARAMETERS.build(PLACES, ClassFilter())
    film = Film([CAR_SOUTH], 5.0)
    fires(rule, film, 6)
    fires(rule, replace(film, actors=[walker(0.0)], begin=900.0), 8)
    rule.step(Scene(2000.0, WIDTH, HEIGHT, ()))

    assert rule.collect() == NearMissCount(ZONE)


def test_near_miss_needs_a_calibration_and_reads_its_parameters() -> None:
    with pytest.raises(RuleCannotRunError, match="calibrat"):
        PARAMETERS.build(replace(PLACES, calibration=None), ClassFilter())
    message = scene_pb2.Rule(near_miss=scene_pb2.NearMiss(zone=ZONE))
    other = scene_pb2.Rule(
        near_miss=scene_pb2.NearMiss(zone=ZONE, maximum_time_to_collision=1.0, maximum_post_encroachment_time=3.0)
    )

    assert unpack_parameters(message, PLACES) == (NearMissParameters(ZONE, 1.5, 5.0), [])
    assert unpack_parameters(other, PLACES) == (NearMissParameters(ZONE, 1.0, 3.0), [])
