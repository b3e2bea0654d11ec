from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from bench.scripted import crowd_camera, crowds
from bench.scripted.crowd_camera import Camera, Faults, watch
from bench.scripted.crowds import Script
from bench.scripted.views import SPREAD, ground_of, view
from detector.domain.analysis import OpticAnalysis
from detector.domain.calibration import Calibration
from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.rules import Firing, Rule, RuleCannotRunError, RuleParameters, counter_flow
from detector.domain.rules.counter_flow import Change, CounterFlowParameters, Course, Reading
from detector.domain.rules.dispersal import DispersalParameters
from detector.domain.rules.running_against_flow import RunningAgainstFlowParameters
from detector.domain.scene import Places, Scene
from detector.domain.tracker_parameters import TrackerParameters
from tests.unit.detector.crowd_scenes import (
    CAMERA,
    EVERYBODY,
    LINE,
    PLACES,
    RATES,
    SLOW,
    UNCALIBRATED,
    WHOLE,
    ZONE,
    run,
    scene,
)

# Dispersal ------------------------------------------------------------------------------------------------------------

BOLT = 6.0
NOT_A_DISPERSAL: dict[str, Callable[[int], Script]] = {
    "people stand about": lambda seed: crowds.waiting(30, 14.0, seed),
    "a bus stop empties": lambda seed: crowds.boarding(25, 14.0, BOLT, seed),
    "a goal is celebrated": lambda seed: crowds.celebrating(30, 14.0, BOLT, seed),
    "all run to a stage": lambda seed: crowds.rushing(30, 14.0, BOLT, seed),
    "joggers cross": lambda seed: crowds.together(
        crowds.waiting(12, 14.0, seed), crowds.jogging(9, 14.0, BOLT, seed + 50)
    ),
    "joggers cross both ways": lambda seed: crowds.together(
        crowds.waiting(12, 14.0, seed),
        crowds.jogging(9, 14.0, BOLT, seed + 50),
        crowds.jogging(9, 14.0, BOLT, seed + 70, speed=-3.2, north=16.0),
    ),
    "a train of tourists": lambda seed: crowds.together(
        crowds.waiting(8, 20.0, seed), crowds.passing(40, 20.0, 5.0, seed + 50)
    ),
    "children play": lambda seed: crowds.playing(12, 14.0, seed),
    "an empty square": lambda seed: crowds.jogging(0, 14.0, BOLT, seed),
}


def dispersal(people: int = 5) -> Rule:
    return DispersalParameters(ZONE, people).build(PLACES, EVERYBODY)


@functools.cache
def bolted(number: int, seed: int) -> Script:
    return crowds.bolting(number, 11.0, BOLT, seed)


def tracked(script: Script, parameters: RuleParameters, rate: float, seed: int = 0) -> list[Firing]:
    """Firings through the real tracker."""
    ids = itertools.count(1)
    rule = RuleSpecification("rules/r", 1, 3, 3, frozenset(), (), parameters)
    analysis = OpticAnalysis(
        OpticConfiguration("devices/d/optics/o", "sites/s", 1, PLACES, (rule,)),
        new_id=lambda: next(ids),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )
    found = []
    for time, detections in crowd_camera.detections(script, CAMERA, rate, seed):
        found += [fired.firing for fired in analysis.step(time, CAMERA.width, CAMERA.height, detections).fired]
    return found


@pytest.mark.parametrize(("rate", "seed"), [(5.0, 1), (25.0, 3)])
def test_a_crowd_that_bolts_is_told_within_five_seconds(rate: float, seed: int) -> None:
    (firing,) = run(dispersal(), watch(bolted(30, seed), CAMERA, rate, seed))

    assert BOLT < firing.time < BOLT + 5.0
    assert BOLT <= firing.start_time <= firing.time
    assert firing.value >= firing.threshold == 5.0
    assert len(firing.tracks) == len(firing.classes) >= 5
    for word in ("run apart within 3 s", "median speed", "before 0.", "divergence"):
        assert word in firing.quantity


@pytest.mark.parametrize(("rate", "seed"), [(5.0, 1), pytest.param(25.0, 2, marks=SLOW)])
def test_it_is_told_within_five_seconds_through_the_real_tracker(rate: float, seed: int) -> None:
    (firing,) = tracked(bolted(30, seed), DispersalParameters(ZONE), rate, seed)

    assert BOLT < firing.time < BOLT + 5.0


def test_it_is_told_when_every_track_breaks_once_a_second() -> None:
    (firing,) = run(dispersal(), watch(bolted(40, 5), CAMERA, 25.0, 5, Faults(broken=1.0)))

    assert BOLT < firing.time < BOLT + 5.0


@pytest.mark.parametrize("name", NOT_A_DISPERSAL)
def test_this_is_no_dispersal(name: str) -> None:
    assert not run(dispersal(), watch(NOT_A_DISPERSAL[name](1), CAMERA, 5.0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 25.0])
@pytest.mark.parametrize("seed", range(10, 16))
def test_dispersals_and_what_looks_like_them_over_many_seeds(seed: int, rate: float) -> None:
    script = crowds.bolting(30, 11.0, BOLT, seed)
    for firings in (
        run(dispersal(), watch(script, CAMERA, rate, seed)),
        tracked(script, DispersalParameters(ZONE), rate),
    ):
        assert [BOLT < firing.time < BOLT + 5.0 for firing in firings] == [True]
    for name, made in NOT_A_DISPERSAL.items():
        other = made(seed)
        assert not run(dispersal(), watch(other, CAMERA, rate, seed)), name
        assert not tracked(other, DispersalParameters(ZONE), rate, seed), name


@pytest.mark.parametrize("seed", [21, 22])
def test_groups_that_come_together_before_they_run_apart_are_no_dispersal(seed: int) -> None:
    # Seen from low and close, where they come into the picture just before they meet.
    homography = view(height=6.0, pitch=18.0)
    calibration = Calibration.fit(SPREAD, ground_of(homography, SPREAD))
    camera = Camera(homography=homography, calibration=calibration)
    nearer = np.array([0.0, -3.0])
    script = NOT_A_DISPERSAL["joggers cross both ways"](seed)
    places = Places(zones={ZONE: camera.zone(WHOLE + nearer)}, calibration=calibration)
    rule = DispersalParameters(ZONE).build(places, EVERYBODY)

    assert not run(rule, watch(replace(script, positions=script.positions + nearer), camera, 5.0, seed))


def test_too_few_are_no_dispersal() -> None:
    assert not run(dispersal(20), watch(bolted(12, 1), CAMERA, 5.0, 1))


def test_nobody_knows_what_was_before_the_first_frames() -> None:
    script = crowds.bolting(30, 8.0, 1.0, 1)

    assert not run(dispersal(), watch(script, CAMERA, 5.0, 1))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (DispersalParameters(ZONE, 2), "from 3 people on"),
        (DispersalParameters("zones/sky"), "horizon"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(parameters: DispersalParameters, reason: str) -> None:
    sky = ((0.1, 0.9), (0.9, 0.9), (0.9, -0.5), (0.1, -0.5))
    with pytest.raises(RuleCannotRunError, match=reason):
        parameters.build(replace(PLACES, zones={**PLACES.zones, "zones/sky": sky}), EVERYBODY)


def test_a_dispersal_needs_metres() -> None:
    with pytest.raises(RuleCannotRunError, match="metres"):
        DispersalParameters(ZONE).build(UNCALIBRATED, EVERYBODY)


# Counter-flow ---------------------------------------------------------------------------------------------------------

RIGHT, LEFT = 1.0, -1.0


class Crossers:
    """People who cross the middle line one after the other, in three frames each."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.time = 0.0
        self.changes: list[Firing] = []
        self._tracks = itertools.count(1)

    def cross(self, *directions: float, every: float = 1.0) -> list[Firing]:
        """The firings while they cross."""
        found = []
        for direction in directions:
            track = next(self._tracks)
            for place in (-1.0, 0.3, 1.0):
                self.time += every / 3
                found += self.rule.step(self._scene(track, place * direction))
        return found

    def wait(self, seconds: float) -> list[Firing]:
        found = []
        for _ in range(round(seconds)):
            self.time += 1.0
            found += self.rule.step(scene(self.time, []))
        return found

    def _scene(self, track: int, east: float) -> Scene:
        seen = scene(self.time, [(east, 18.0)])
        return replace(seen, present=tuple(item._replace(track=track) for item in seen.present))


def counter(**changes: float) -> Crossers:
    parameters = replace(CounterFlowParameters(LINE, 30.0, 10), **changes)  # type: ignore[arg-type]
    return Crossers(parameters.build(UNCALIBRATED, EVERYBODY))


def test_the_table_of_counter_flow_is_whole() -> None:
    table = counter_flow.TRANSITIONS

    assert set(table) == set(itertools.product(Course, Reading))
    assert all(table[course, Reading.NOTHING] == (Course.UNKNOWN, Change.NONE) for course in Course)
    assert all(table[course, Reading.UNCLEAR] == (course, Change.NONE) for course in Course)
    # Once told, it is not told again while it lasts.
    for (_, reading), (after, change) in table.items():
        if change is not Change.NONE:
            assert table[after, reading] == (after, Change.NONE)


def test_what_is_told_depends_on_where_most_went_before() -> None:
    told = {key: change for key, (_, change) in counter_flow.TRANSITIONS.items() if change is not Change.NONE}

    assert told == {
        (Course.RIGHTWARD, Reading.BOTH): Change.COUNTER_FLOW,
        (Course.LEFTWARD, Reading.BOTH): Change.COUNTER_FLOW,
        (Course.RIGHTWARD, Reading.LEFTWARD): Change.REVERSAL,
        (Course.LEFTWARD, Reading.RIGHTWARD): Change.REVERSAL,
        (Course.BOTH_AFTER_RIGHTWARD, Reading.LEFTWARD): Change.REVERSAL,
        (Course.BOTH_AFTER_LEFTWARD, Reading.RIGHTWARD): Change.REVERSAL,
    }


def test_a_flow_that_turns_round_is_first_counter_flow_and_then_a_reversal() -> None:
    subject = counter()

    assert not subject.cross(*(RIGHT,) * 30)
    first, second = subject.cross(*(LEFT,) * 40)
    assert "against the rest" in first.quantity
    assert "turned round" in second.quantity
    assert first.time < second.time
    assert not subject.cross(*(LEFT,) * 60)


def test_counter_flow_explains_itself() -> None:
    subject = counter()
    subject.cross(*(RIGHT,) * 30)
    (firing,) = subject.cross(*(LEFT, RIGHT, LEFT, RIGHT, RIGHT) * 8)

    assert firing.value >= firing.threshold == 0.35
    assert firing.value == pytest.approx(0.35, abs=0.02)
    assert firing.uncertainty == pytest.approx(math.sqrt(0.35 * 0.65 / 30), abs=0.01)
    assert "crossings in 30 s" in firing.quantity
    assert len(firing.tracks) == len(firing.classes) == pytest.approx(0.35 * 30, abs=1)
    # From the first of those who went against it.
    assert firing.time - 30.0 <= firing.start_time <= firing.time
    assert all(0.0 <= side <= 768.0 for side in firing.box)


def test_a_line_that_is_always_crossed_both_ways_has_no_counter_flow() -> None:
    assert not counter().cross(*(RIGHT, LEFT) * 60)


def test_a_few_against_the_rest_are_none() -> None:
    assert not counter().cross(*(RIGHT, RIGHT, RIGHT, RIGHT, LEFT) * 20)


def test_between_one_way_and_both_nothing_changes() -> None:
    subject = counter()
    subject.cross(*(RIGHT,) * 30)
    told = subject.cross(*(RIGHT, LEFT) * 20)
    # 0.25 of 0.35 is neither.
    wavering = subject.cross(*(RIGHT, RIGHT, RIGHT, LEFT) * 15, *(RIGHT, LEFT) * 15)
    calm = subject.cross(*(RIGHT,) * 40)

    assert len(told) == 1
    assert wavering == []
    assert calm == []
    assert len(subject.cross(*(RIGHT, LEFT) * 20)) == 1


def test_too_few_crossings_are_no_flow() -> None:
    subject = counter()
    subject.cross(*(RIGHT,) * 30)
    subject.wait(40.0)

    assert not subject.cross(*(LEFT,) * 20, every=5.0)


def test_a_pause_is_remembered_for_a_while_and_a_long_one_is_not() -> None:
    short, long = counter(), counter()
    for subject, pause in ((short, 60.0), (long, 300.0)):
        subject.cross(*(RIGHT,) * 30)
        subject.wait(pause)

    assert len(short.cross(*(LEFT,) * 30)) == 1
    assert not long.cross(*(LEFT,) * 30)


@pytest.mark.parametrize("rate", RATES)
def test_a_stream_of_people_that_turns_round_is_told(rate: float) -> None:
    script = crowds.together(
        crowds.streaming(60.0, 100.0, 1, begin=0.0), crowds.streaming(120.0, 100.0, 2, begin=50.0, west=True)
    )
    rule = CounterFlowParameters(LINE, 20.0, 10).build(UNCALIBRATED, EVERYBODY)
    (firing,) = run(rule, watch(script, CAMERA, rate, 1, Faults(broken=0.05)))

    assert "against the rest" in firing.quantity
    # Six seconds from the edge of the square to the line, and then a third of a window.
    assert 56.0 < firing.time < 80.0
    assert 50.0 < firing.start_time < firing.time


# Running against the flow ---------------------------------------------------------------------------------------------


def running(duration: float = 1.5) -> Rule:
    return RunningAgainstFlowParameters(ZONE, 2.5, duration).build(PLACES, EVERYBODY)


@functools.cache
def stream_with(runner: float) -> Script:
    """A stream to the east, and after twenty seconds somebody who runs, to the west when the speed is negative."""
    stream = crowds.streaming(50.0, 28.0, 3)
    return crowds.together(stream, crowds.passing(1, 28.0, 20.0, 9, speed=runner, north=17.0, length=0.0))


@pytest.mark.parametrize(
    ("rate", "broken"), [(5.0, 0.1), pytest.param(25.0, 0.1, marks=SLOW), pytest.param(25.0, 0.4, marks=SLOW)]
)
def test_somebody_who_runs_against_the_stream_is_told(rate: float, broken: float) -> None:
    (firing,) = run(running(), watch(stream_with(-3.6), CAMERA, rate, 2, Faults(broken=broken, missed=0.05)))

    assert 20.0 < firing.time < 25.5
    assert firing.threshold == 2.5
    runner = stream_with(-3.6).positions[:, -1]
    now, before = round(firing.time / crowds.TICK), round((firing.time - 1.0) / crowds.TICK)
    assert firing.value == pytest.approx(math.dist(runner[now], runner[before]), abs=3 * firing.uncertainty)
    assert 0.0 < firing.uncertainty < 1.0
    assert "speed against the flow (1" in firing.quantity
    assert firing.unit == "m/s"
    assert len(firing.tracks) == 1


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda: stream_with(3.6), id="with the stream"),
        pytest.param(lambda: stream_with(-1.4), id="against it, but walking"),
        pytest.param(lambda: crowds.passing(1, 28.0, 20.0, 9, speed=-3.6), id="without a stream"),
        pytest.param(
            lambda: crowds.together(
                crowds.streaming(40.0, 28.0, 3),
                crowds.streaming(40.0, 28.0, 4, west=True),
                crowds.passing(1, 28.0, 20.0, 9, speed=-3.6),
            ),
            id="where people go both ways",
        ),
    ],
)
def test_this_is_not_running_against_the_flow(script: Callable[[], Script]) -> None:
    assert not run(running(), watch(script(), CAMERA, 5.0, 2))


def test_running_needs_metres() -> None:
    with pytest.raises(RuleCannotRunError, match="metres"):
        RunningAgainstFlowParameters(ZONE).build(UNCALIBRATED, EVERYBODY)
