"""Stopped vehicles, slow traffic and queues, in a simulated street."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from bench.scripted.traffic import Actor, away, drive, halt
from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter
from detector.domain.rules import slow_traffic as slow
from detector.domain.rules import stopped_vehicle as stop
from detector.domain.rules.slow_traffic import FreeFlow, Level, Notice, SlowTrafficParameters
from detector.domain.rules.stopped_vehicle import Sight, Stop, StoppedVehicleParameters
from tests.unit.detector.street import (
    END,
    LANE,
    OTHER_TRAFFIC,
    PLACES,
    START,
    ZONE,
    Film,
    analyse,
    build,
    fires,
    seconds,
    stream,
)

RATES = pytest.mark.parametrize("rate", [5.0, 25.0])
NOISES = pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])

# Stopped vehicle ------------------------------------------------------------------------------------------------------

STANDING = StoppedVehicleParameters(ZONE)


def test_the_table_of_stopped_vehicle_is_whole_and_fires_once_per_stop() -> None:
    assert set(stop.TRANSITIONS) == set(itertools.product(Stop, Sight))
    assert {key for key, (_, told) in stop.TRANSITIONS.items() if told} == {
        (state, Sight.STOOD) for state in Stop if state is not Stop.REPORTED
    }
    assert all(stop.TRANSITIONS[state, Sight.MOVES][0] is Stop.MOVING for state in Stop)
    assert all(stop.TRANSITIONS[state, Sight.UNSURE][0] is state for state in Stop)
    assert all(
        stop.TRANSITIONS[Stop.REPORTED, sight][0] is Stop.REPORTED for sight in Sight if sight is not Sight.MOVES
    )


@RATES
@NOISES
@pytest.mark.parametrize("north", [15.0, 50.0])
def test_a_vehicle_that_stands_is_told_once_after_its_time(rate: float, noise: float, north: float) -> None:
    film = Film([halt(1, (2, north), arrives=3), *OTHER_TRAFFIC], rate, noise)

    (firing,) = fires(build(STANDING), film, 18)

    assert (firing.tracks, firing.classes) == ((1,), (ObjectClass.CAR,))
    assert (firing.quantity, firing.unit, firing.threshold) == ("standing time", "s", 10.0)
    assert firing.start_time - 1000.0 == pytest.approx(3, abs=firing.uncertainty)
    assert firing.value == pytest.approx(firing.time - firing.start_time)
    assert firing.value >= firing.threshold
    assert firing.time - 1000.0 == pytest.approx(13, abs=1)


@RATES
def test_stopped_vehicle_works_through_the_tracker(rate: float) -> None:
    film = Film([halt(1, (2, 30), arrives=3, leaves=20), *OTHER_TRAFFIC], rate, missed=0.2)

    _, fired = analyse(PLACES, film, 24, standing=STANDING)

    assert seconds(fired) == [pytest.approx(13, abs=1)]


@pytest.mark.parametrize(
    "actors",
    [
        [drive(1, START, END, 1.0)],
        [drive(1, (-2, 58), (-2, 12), 1.5)],
        [halt(1, (2, 30), arrives=3, leaves=11)],
        # At the kerb, outside the zone.
        [halt(1, (6, 30), arrives=3)],
        [halt(1, (2, 30), arrives=3, kind=ObjectClass.PERSON, speed=1.5)],
    ],
)
@NOISES
def test_who_does_not_stand_in_the_zone_for_long_is_not_told(actors: list[Actor], noise: float) -> None:
    assert not fires(build(STANDING), Film([*actors, *OTHER_TRAFFIC], 5.0, noise), 22)


QUEUE = [
    halt(track, (2, 52 - 7 * track), arrives=3.0 + track, leaves=30 + 1.5 * track, speed=8.0) for track in range(5)
]


@NOISES
def test_a_queue_is_no_stopped_vehicle(noise: float) -> None:
    assert not fires(build(STANDING), Film(QUEUE, 5.0, noise), 42)


def test_two_who_stand_together_are_no_queue() -> None:
    pair = [halt(1, (2, 30), arrives=3), halt(2, (1, 36), arrives=3, heading=60.0)]

    firings = fires(build(STANDING), Film([*pair, *OTHER_TRAFFIC], 5.0), 18)

    assert sorted(firing.tracks for firing in firings) == [(1,), (2,)]


def test_three_who_stand_while_dense_traffic_flows_around_them_are_no_queue() -> None:
    three = [halt(track, (2, 36 - 6.0 * track), arrives=3) for track in range(3)]
    around = [drive(10 + number, (-2, 60), (-2, 10.5), 12.0, begin=0.9 * number) for number in range(25)]

    assert len(fires(build(STANDING), Film([*three, *around], 5.0), 20)) == 3


def test_who_stays_when_the_queue_goes_is_told_its_time_later() -> None:
    broken = halt(2, (2, 38), arrives=5, speed=8.0)

    (firing,) = fires(build(STANDING), Film([QUEUE[0], QUEUE[1], broken, QUEUE[3], QUEUE[4]], 5.0), 60)

    assert firing.tracks == (2,)
    assert 40 < firing.time - 1000.0 < 48


def test_a_stop_is_one_stop_though_detections_fail_and_the_track_is_lost() -> None:
    first = away(halt(1, (2, 30), arrives=3), 16.0)
    again = away(halt(2, (2, 30), arrives=3), 0.0, 17.0)
    film = Film([first, again, *OTHER_TRAFFIC], 5.0, missed=0.3)

    assert [firing.tracks for firing in fires(build(STANDING), film, 40)] == [(1,)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_box_that_trembles_hard_far_away_does_not_end_a_stop(seed: int) -> None:
    film = Film([halt(1, (2, 50), arrives=3)], 5.0, noise=0.08, seed=seed)

    assert len(fires(build(STANDING), film, 40)) == 1


def test_a_track_that_is_lost_before_its_time_hands_it_on() -> None:
    film = Film([away(halt(1, (2, 30), arrives=3), 8.0), away(halt(2, (2, 30), arrives=3), 0.0, 9.0)], 5.0)

    (firing,) = fires(build(STANDING), film, 20)

    assert firing.tracks == (2,)
    assert firing.time - 1000.0 == pytest.approx(13, abs=1)


def test_a_second_stop_is_told_again() -> None:
    def pose(time: float) -> tuple[float, float, float]:
        return 2, 20 + 8 * min(max(time - 15, 0), 2), 0

    assert seconds(fires(build(STANDING), Film([Actor(1, ObjectClass.CAR, pose)], 5.0), 40)) == [
        pytest.approx(10, abs=1),
        pytest.approx(27, abs=1.5),
    ]


def test_a_clock_that_is_set_back_begins_the_stop_anew() -> None:
    rule, film = build(STANDING), Film([halt(1, (2, 30), arrives=0)], 5.0)

    assert not fires(rule, film, 8)
    assert [firing.time - 500.0 for firing in fires(rule, replace(film, begin=500.0), 14)] == [
        pytest.approx(10, abs=0.5)
    ]


def test_a_clock_that_jumps_ahead_is_a_gap() -> None:
    rule, film = build(STANDING), Film([halt(1, (2, 30), arrives=0)], 5.0)

    assert not fires(rule, film, 8)
    # Standing before and standing after: it stood, and is told as soon as that is measured again.
    firings = fires(rule, replace(film, begin=1060.0), 14)
    assert seconds(firings) == [pytest.approx(62.5, abs=0.5)]


# Slow traffic ---------------------------------------------------------------------------------------------------------

SLOW = SlowTrafficParameters(LANE, free_flow=50 / 3.6, minimum_duration=15.0)


JAM = [halt(100 + index, (2, 52 - 7 * index), arrives=12 + 1.5 * index, speed=10.0) for index in range(5)]


def test_the_table_of_slow_traffic_is_whole_and_tells_an_episode_once_at_each_level() -> None:
    assert set(slow.TRANSITIONS) == set(itertools.product(Level, Notice))
    assert {key for key, (_, told) in slow.TRANSITIONS.items() if told} == {
        (Level.FLOWING, Notice.SLOW),
        (Level.FLOWING, Notice.STANDS),
        (Level.SLOW, Notice.STANDS),
    }
    assert all(slow.TRANSITIONS[level, Notice.OVER] == (Level.FLOWING, False) for level in Level)
    assert all(slow.TRANSITIONS[level, Notice.NOTHING] == (level, False) for level in Level)


@NOISES
def test_a_lane_at_a_third_of_its_speed_is_told_once(noise: float) -> None:
    (firing,) = fires(build(SLOW), Film(stream(15, 3, 20), 5.0, noise), 60)

    assert (firing.quantity, firing.unit) == ("mean speed", "km/h")
    assert firing.value == pytest.approx(15, abs=1)
    assert firing.threshold == pytest.approx(25)
    assert firing.uncertainty < 2
    assert 15 <= firing.time - firing.start_time <= 16
    assert len(firing.tracks) >= 3


@NOISES
def test_a_queue_is_told_as_one_with_its_length(noise: float) -> None:
    (firing,) = fires(build(SLOW), Film([*stream(50, 2, 4), *JAM], 5.0, noise), 50)

    assert (firing.quantity, firing.unit) == ("queue length", "m")
    assert firing.value == pytest.approx(28, abs=firing.uncertainty)
    assert len(firing.tracks) == 5


def test_slow_traffic_that_comes_to_a_stop_is_told_once_more() -> None:
    later = [halt(200 + index, (2, 52 - 7 * index), arrives=36 + 1.5 * index, speed=15 / 3.6) for index in range(5)]

    firings = fires(build(SLOW), Film([*stream(15, 3, 8), *later], 5.0), 80)

    assert [firing.quantity for firing in firings] == ["mean speed", "queue length"]


def test_a_speed_about_the_threshold_is_one_episode() -> None:
    waves = [
        drive(100 * wave + index, START, END, kmh / 3.6, begin=24.0 * wave + 3.0 * index)
        for wave, kmh in enumerate((20, 28, 20))
        for index in range(8)
    ]

    assert [firing.quantity for firing in fires(build(SLOW), Film(waves, 5.0), 75)] == ["mean speed"]


@RATES
def test_slow_traffic_works_through_the_tracker(rate: float) -> None:
    _, fired = analyse(PLACES, Film([*stream(50, 2, 4), *JAM], rate), 40, slow=SLOW)

    assert [firing.quantity for firing in fired] == ["queue length"]
    assert fired[0].value == pytest.approx(28, abs=5)


@pytest.mark.parametrize(
    "actors",
    [
        stream(50, 2, 20),
        stream(30, 3, 15),
        # One who creeps, one who is parked: not the lane.
        stream(10, 100, 1),
        [*stream(50, 3, 15), halt(99, (2, 20), arrives=5)],
        [],
    ],
)
@NOISES
def test_a_lane_that_flows_is_not_told(actors: list[Actor], noise: float) -> None:
    assert not fires(build(SLOW), Film(actors, 5.0, noise), 45)


def test_free_flow_is_learned_as_the_85th_percentile_and_not_from_too_few() -> None:
    free_flow = FreeFlow(0.0)
    for speed in range(99):
        free_flow.learn(float(speed))
    before = free_flow.speed
    free_flow.learn(99.0)

    assert before is None
    assert free_flow.speed == pytest.approx(0.85 * 99)
    assert FreeFlow(12.0).speed == 12.0


def test_a_lane_without_a_known_free_flow_says_nothing_and_learns_from_who_drives_through() -> None:
    rule = SlowTrafficParameters(LANE, minimum_duration=15.0).build(PLACES, ClassFilter())
    learned = [*stream(50, 1.5, 105)]

    assert not fires(rule, Film(learned, 5.0), 165)
    rule.reset()
    assert rule.free_flow.speed == pytest.approx(50 / 3.6, rel=0.03)
    assert [firing.threshold for firing in fires(rule, Film(stream(15, 3, 15), 5.0, begin=2000.0), 50)] == [
        pytest.approx(25, rel=0.03)
    ]
