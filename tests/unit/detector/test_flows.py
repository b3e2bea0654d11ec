"""Counts, turning movements, occupancy and speeds, in a simulated street."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bench.scripted.traffic import CALIBRATION, HEIGHT, WIDTH, Actor, Pose, area, drive, halt
from detector.domain.analysis import OpticAnalysis
from detector.domain.configuration import OpticConfiguration
from detector.domain.detections import ObjectClass
from detector.domain.flows import Flow, FlowCounter, LineCount, ZoneCount
from detector.domain.rules.line_crossing import Crossing, Direction
from detector.domain.rules.near_miss import NearMissCount
from detector.domain.scene import Places, Presence, Scene
from detector.domain.trails import STEP_SECONDS, Trails
from detector.domain.turning import TurnCount, TurnCounter
from detector.packing import pack_flow, pack_observations
from tests.unit.detector.street import Film, analyse, presence

SOUTH, EAST, ZONE = "lines/south", "lines/east", "zones/junction"
CAR, PERSON = ObjectClass.CAR, ObjectClass.PERSON
PLACES = Places(
    zones={ZONE: area((-8, 16), (8, 16), (8, 34), (-8, 34))},
    lines={SOUTH: area((-6, 16), (6, 16)), EAST: area((8, 18), (8, 34))},
    calibration=CALIBRATION,
)
CONFIGURATION = OpticConfiguration("devices/d/optics/o", "sites/s", 1, PLACES)
RATES = pytest.mark.parametrize("rate", [5.0, 25.0])


def turns_right(track: int, begin: float) -> Actor:
    """Comes from the south at 7 m/s, turns on a circle of 6 m and leaves to the east."""

    def pose(time: float) -> Pose | None:
        gone = (time - begin) * 7.0
        if gone < 0.0:
            return None
        if gone < 12.0:
            return 2.0, 12.0 + gone, 0.0
        angle = min((gone - 12.0) / 6.0, np.pi / 2)
        beyond = max(0.0, gone - 12.0 - 3.0 * np.pi)
        if beyond > 8.0:
            return None
        return 8.0 - 6.0 * np.cos(angle) + beyond, 24.0 + 6.0 * np.sin(angle), float(np.degrees(angle))

    return Actor(track, CAR, pose)


def flow_of(analysis: OpticAnalysis) -> Flow:
    flow = analysis.flow()
    assert flow is not None
    return flow


# Lines and turning movements ------------------------------------------------------------------------------------------


@RATES
@pytest.mark.parametrize("speed", [4.0, 12.0])
def test_a_crossing_has_its_speed_in_the_mean(rate: float, speed: float) -> None:
    cars = [drive(track, (2, 11), (2, 40), speed, begin=30.0 / speed * track) for track in range(3)]

    analysis, _ = analyse(PLACES, Film(cars, rate), 100 / speed)

    (line,) = flow_of(analysis).lines
    assert (line.line, line.object_class, line.left_to_right, line.right_to_left) == (SOUTH, CAR, 0, 3)
    assert line.measured == 3
    assert line.mean_speed == pytest.approx(speed, rel=0.08)


def test_persons_have_a_speed_in_the_mean_and_nowhere_else() -> None:
    film = Film([drive(1, (2, 12), (2, 22), 1.4, kind=PERSON), drive(2, (-2, 11), (-2, 40), 8.0)], 5.0)

    analysis, _ = analyse(PLACES, film, 6)

    observations = {item.object_class: item for item in analysis.observations()}
    batch = pack_observations(CONFIGURATION, list(observations.values()), dropped=0)
    packed = {item.object_class: item for item in batch.observations}
    assert {line.object_class: line.measured for line in flow_of(analysis).lines} == {PERSON: 1, CAR: 1}
    assert observations[PERSON].movement is None
    assert not packed[PERSON].HasField("speed")  # type: ignore[index]
    assert packed[CAR].speed.metres_per_second == pytest.approx(8, rel=0.1)  # type: ignore[index]
    assert min(packed[CAR].speed.heading_degrees, 360 - packed[CAR].speed.heading_degrees) < 10  # type: ignore[index]
    assert 0 < packed[CAR].speed.standard_error < 1  # type: ignore[index]


def test_the_path_of_a_calibrated_optic_is_on_the_ground_too() -> None:
    analysis, _ = analyse(PLACES, Film([drive(1, (2, 12), (2, 40), 8.0)], 5.0), 3)
    (observation,) = pack_observations(CONFIGURATION, analysis.observations(), dropped=0).observations

    norths = [point.ground.north_metres for point in observation.path]
    assert norths == sorted(norths)
    assert all(point.ground.east_metres == pytest.approx(2, abs=1) for point in observation.path)


def test_an_optic_without_calibration_counts_and_measures_nothing() -> None:
    places = Places(PLACES.zones, PLACES.lines)

    analysis, _ = analyse(places, Film([drive(1, (2, 11), (2, 40), 8.0)], 5.0), 4)

    assert flow_of(analysis).lines == (LineCount(SOUTH, CAR, 0, 1),)
    (observation,) = analysis.observations()
    assert observation.movement is None
    assert all(point.ground is None for point in observation.path)


@RATES
def test_turning_movements_are_counted_from_line_to_line(rate: float) -> None:
    straight = [drive(10 + track, (-2, 11), (-2, 45), 9.0, begin=5.0 * track) for track in range(3)]
    film = Film([turns_right(1, 0.0), turns_right(2, 6.0), *straight], rate)

    analysis, _ = analyse(PLACES, film, 16)

    flow = flow_of(analysis)
    assert flow.turns == (TurnCount(SOUTH, EAST, CAR, 2),)
    assert {line.line: line.left_to_right + line.right_to_left for line in flow.lines} == {SOUTH: 5, EAST: 2}


@pytest.mark.parametrize(("back", "counted"), [(0.8, (0, 0)), (1.2, (1, 1))])
def test_whoever_crosses_back_within_a_second_has_swayed(back: float, counted: tuple[int, int]) -> None:
    counter = FlowCounter()
    there, again = crossed(1, 0.0), replace(crossed(1, 0.0), direction=Direction.RIGHT_TO_LEFT)
    for time, found in ((0.0, []), (1.0, [there]), (1.0 + back, [again]), (4.0, [])):
        counter.step(Scene(time, WIDTH, HEIGHT, ()), {SOUTH: found}, {})

    flow = counter.collect()

    assert flow is not None
    assert sum(line.left_to_right for line in flow.lines) == counted[0]
    assert sum(line.right_to_left for line in flow.lines) == counted[1]


def test_a_crossing_that_nobody_undid_before_the_end_is_counted() -> None:
    counter = FlowCounter()
    for time, found in ((0.0, []), (1.0, [crossed(1, 0.0)])):
        counter.step(Scene(time, WIDTH, HEIGHT, ()), {SOUTH: found}, {})
    counter.finish()

    flow = counter.collect()

    assert flow is not None
    assert flow.lines == (LineCount(SOUTH, CAR, 1, 0),)


def crossed(track: int, start_time: float, kind: ObjectClass = CAR) -> Crossing:
    return Crossing(presence(track, kind, (100, 100, 200, 200)), Direction.LEFT_TO_RIGHT, start_time, 1.0)


def test_a_turn_is_a_pair_of_lines_in_the_order_of_their_crossing() -> None:
    turns = TurnCounter()
    # Both in one frame, told in the wrong order; then a third line, and back over it.
    turns.step({"b": [crossed(1, 1.5)], "a": [crossed(1, 1.0)]}, ())
    turns.step({"c": [crossed(1, 2.0), crossed(2, 2.0)]}, ())
    turns.step({"c": [crossed(1, 3.0)]}, ())

    assert turns.collect() == (TurnCount("a", "b", CAR, 1), TurnCount("b", "c", CAR, 1))
    assert turns.collect() == ()


def test_a_turn_may_end_in_another_interval_but_not_in_another_life() -> None:
    turns = TurnCounter()
    turns.step({"a": [crossed(1, 1.0), crossed(2, 1.0)]}, ())
    assert turns.collect() == ()
    turns.step({}, (2,))
    turns.step({"b": [crossed(1, 9.0), crossed(2, 9.0)]}, ())

    assert turns.collect() == (TurnCount("a", "b", CAR, 1),)


# Occupancy ------------------------------------------------------------------------------------------------------------


def test_occupancy_is_the_mean_over_time() -> None:
    cars = [halt(track, (-5.0 + 5 * track, 28), arrives=-5.0, leaves=10.0) for track in range(3)]

    analysis, _ = analyse(PLACES, Film(cars, 5.0), 20)

    (zone,) = flow_of(analysis).zones
    assert (zone.zone, zone.object_class, zone.maximum_occupancy) == (ZONE, CAR, 3)
    # Ten seconds, and the half second in which they leave, of twenty.
    assert zone.mean_occupancy == pytest.approx(3 * 10.5 / 20, rel=0.1)


def test_the_density_of_persons_is_per_square_metre_of_ground() -> None:
    places = [(-4.0 + 2 * (index % 5), 18.0 + 3 * (index // 5)) for index in range(20)]
    people = [halt(index, place, arrives=-5, kind=PERSON) for index, place in enumerate(places)]

    analysis, _ = analyse(PLACES, Film([*people, halt(99, (7, 28), arrives=-5)], 5.0), 14)

    # Sixteen metres by eighteen.
    zones = {zone.object_class: zone for zone in flow_of(analysis).zones}
    assert zones[PERSON].mean_density == pytest.approx(20 / 288, rel=0.1)
    assert zones[PERSON].maximum_density == pytest.approx(20 / 288, rel=0.1)
    assert zones[CAR].mean_density == zones[CAR].maximum_density == 0.0
    packed = {zone.object_class: zone for zone in pack_flow(CONFIGURATION, flow_of(analyse_more(analysis))).zones}
    assert packed[PERSON].mean_density > 0  # type: ignore[index]


def analyse_more(analysis: OpticAnalysis) -> OpticAnalysis:
    """Two seconds more of somebody in the zone."""
    film = Film([halt(1, (0, 28), arrives=-5, kind=PERSON)], 5.0, begin=1020.0)
    for time, detections in film.detections(2):
        analysis.step(time, WIDTH, HEIGHT, detections)
    return analysis


def test_occupants_are_those_whose_foot_is_inside() -> None:
    scene = next(
        Film([halt(1, (0, 28), arrives=-5), halt(2, (9, 28), arrives=-5), halt(3, (0, 40), arrives=-5)]).scenes(1)
    )

    assert [item.track for item in scene.occupants(PLACES.zones[ZONE])] == [1]
    assert scene.occupants(PLACES.zones[ZONE], frozenset({PERSON})) == ()
    assert scene.occupants(area((-9, 36), (-8, 36), (-8, 37))) == ()


def test_a_flow_is_packed_whole() -> None:
    flow = Flow(
        10.0,
        60.0,
        59.0,
        (LineCount(SOUTH, CAR, 3, 2, 8.5, 4),),
        (ZoneCount(ZONE, CAR, 1.5, 3),),
        (TurnCount(SOUTH, EAST, CAR, 2),),
        (NearMissCount(ZONE, 1, 0.8, 2, 1.9),),
    )
    batch = pack_flow(CONFIGURATION, flow)

    (line,), (turn,), (near,) = batch.lines, batch.turns, batch.near_misses
    assert (line.left_to_right, line.right_to_left, line.mean_speed, line.measured) == (3, 2, 8.5, 4)
    assert (turn.from_line, turn.to_line, int(turn.object_class), turn.count) == (SOUTH, EAST, CAR, 2)
    assert (near.zone, near.time_to_collision, near.shortest_time_to_collision) == (ZONE, 1, 0.8)
    assert (near.post_encroachment, near.shortest_post_encroachment_time) == (2, 1.9)


# Speeds ---------------------------------------------------------------------------------------------------------------


def trail(rate: float, seconds: float, *, speed: float, noise: float, seed: int = 1) -> Trails:
    *_, last = Film([drive(1, (1, 20), (1, 50), speed)], rate, noise, seed=seed).scenes(seconds)
    assert last.trails is not None
    return last.trails


@pytest.mark.parametrize("rate", [5.0, 10.0, 25.0, 50.0])
def test_a_speed_is_right_within_its_error(rate: float) -> None:
    found = [trail(rate, 1.6, speed=8.0, noise=0.04, seed=seed).movement(1, 1.0) for seed in range(40)]

    misses = [abs(item.velocity[1] - 8.0) / item.speed_error for item in found if item]
    assert len(misses) == 40
    assert np.mean(np.array(misses) < 2.0) > 0.85
    assert np.mean(misses) > 0.2


def test_a_speed_takes_time_and_is_forgotten_with_its_track() -> None:
    assert trail(25.0, 0.5, speed=8.0, noise=0.0).movement(1, 1.0) is None
    trails = trail(25.0, 1.0, speed=8.0, noise=0.0)
    assert trails.movement(1, 1.0) is not None
    trails.step(Scene(1001.0, WIDTH, HEIGHT, (), ended=(1,)))
    assert trails.movement(1, 1.0) is None


def walk_on_ground(trails: Trails, times: list[float], *, start: float = 0.0) -> None:
    """Two metres a second to the north."""
    for time in times:
        box = (600.0, 300.0, 660.0, 420.0)
        item = Presence(1, CAR, (630.0, 420.0), 120.0, box, ground=(0.0, start + 2.0 * time))
        trails.step(Scene(time, WIDTH, HEIGHT, (item,)))


def test_a_gap_or_a_clock_that_is_set_back_begins_a_new_trail() -> None:
    before = [index / 10 for index in range(100, 120)]
    for after in ([50.0, 50.2, 50.4], [5.0, 5.2, 5.4]):
        trails = Trails(CALIBRATION)
        walk_on_ground(trails, before)
        assert trails.movement(1, 1.0) is not None
        walk_on_ground(trails, after, start=100.0)
        assert trails.movement(1, 1.0) is None
        walk_on_ground(trails, [after[0] + step for step in (0.6, 0.8, 1.0)], start=100.0)
        movement = trails.movement(1, 1.0)
        assert movement is not None
        assert movement.velocity == pytest.approx((0, 2))


def test_a_trail_does_not_grow_with_the_frame_rate() -> None:
    trails = Trails(CALIBRATION)
    walk_on_ground(trails, list(itertools.islice(itertools.count(10.0, 0.001), 3000)))

    movement = trails.movement(1, 1.0)
    assert movement is not None
    assert movement.velocity == pytest.approx((0, 2))
    assert movement.end_time - movement.start_time >= 1.0 - 2 * STEP_SECONDS


def test_a_new_track_has_nothing_of_one_that_has_ended() -> None:
    trails = Trails(CALIBRATION)
    walk_on_ground(trails, [10.0, 10.2, 10.4, 10.6, 10.8, 11.0])
    trails.step(Scene(11.2, WIDTH, HEIGHT, (), ended=(1,)))
    walk_on_ground(trails, [11.4, 11.6, 11.8, 12.0, 12.2], start=-500.0)

    movement = trails.movement(1, 2.0)

    assert movement is None
    movement = trails.movement(1, 1.0)
    assert movement is not None
    assert movement.velocity == pytest.approx((0, 2))
