"""Rules about things, persons on the ground, and the picture itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from bench.scripted.scenery import HEIGHT, MIDDLE, WIDTH, Square, scenes
from bench.scripted.views import SPREAD, ground_of, view
from detector.domain.calibration import Calibration
from detector.domain.detections import ObjectClass
from detector.domain.geometry import Point
from detector.domain.picture import Picture, zone_mask
from detector.domain.preprocessing import Planes
from detector.domain.rules import ClassFilter, Firing, Rule, RuleCannotRunError, RuleParameters
from detector.domain.rules import abandoned_object as abandoned
from detector.domain.rules.abandoned_object import AbandonedObjectParameters, Sign, Standing
from detector.domain.rules.flooding import FloodingParameters
from detector.domain.rules.lost_visibility import LostVisibilityParameters
from detector.domain.rules.person_down import PersonDownParameters
from detector.domain.rules.smoke_or_fire import SmokeOrFireParameters
from detector.domain.scene import Places, Presence, Scene
from detector.domain.scene_memory import SceneMemory

ZONE = "zones/square"
WHOLE: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
CALIBRATION = Calibration.fit(SPREAD, ground_of(view(), SPREAD))
PLACES = Places(zones={ZONE: WHOLE}, calibration=CALIBRATION)
CORNER = (slice(0, 16), slice(0, 24))


def build(parameters: RuleParameters, *, places: Places = PLACES) -> Rule:
    return parameters.build(places, ClassFilter())


def run(rule: Rule, *parts: Iterable[Scene]) -> list[Firing]:
    memory = SceneMemory(CALIBRATION)
    return [firing for scene in itertools.chain(*parts) for firing in rule.step(memory.enter(scene))]


# --- the picture


def test_a_picture_is_the_frame_at_a_small_size() -> None:
    luma = np.full((432, 768), 126, np.uint8)
    luma[:, 384:] = 16
    chroma = np.full((216, 384), 90, np.uint8)
    found = Picture.of(Planes(luma, chroma, chroma))

    assert found.size == (192, 108)
    assert found.luma[50, 20] == 126
    assert found.blue.shape == found.luma.shape
    assert found.light_level == pytest.approx((126 - 16) / (235 - 16) / 2, abs=0.01)


def test_a_zone_s_mask_is_its_area() -> None:
    mask = zone_mask(((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)), 192, 112)

    assert mask[:, 97:].all()
    assert not mask[:, :95].any()


# --- smoke and fire


@pytest.mark.parametrize("what", ["smoke", "fire"])
def test_smoke_and_fire_are_told_once_with_their_extent(what: str) -> None:
    square = Square()
    burning = getattr(square, what)(MIDDLE)
    fired = run(
        build(SmokeOrFireParameters(ZONE)), scenes(square.clear, 70), scenes(burning, 30, start=70)
    )  # fmt: skip

    (firing,) = fired
    assert firing.quantity == "area of smoke or fire"
    assert firing.value >= firing.threshold == 0.03
    assert 80 <= firing.time <= 85
    assert 70 <= firing.start_time <= 72
    left, top, right, bottom = firing.box
    assert (left, top) == pytest.approx((4 * 64, 4 * 40), abs=40)
    assert (right, bottom) == pytest.approx((4 * 128, 4 * 80), abs=40)


def test_what_is_bright_and_warm_but_steady_is_no_fire() -> None:
    square = Square()
    fired = run(build(SmokeOrFireParameters(ZONE)), scenes(square.clear, 70), scenes(square.lamp(CORNER), 40, start=70))

    assert fired == []


def test_fog_and_water_are_no_smoke() -> None:
    square = Square()
    for look in (square.fog(0.2), square.water(MIDDLE)):
        assert run(build(SmokeOrFireParameters(ZONE)), scenes(square.clear, 70), scenes(look, 40, start=70)) == []


def test_a_queue_of_people_is_no_smoke() -> None:
    square = Square()
    person = Presence(1, ObjectClass.PERSON, (384.0, 400.0), 300.0, (200.0, 100.0, 600.0, 400.0))
    hidden = square.smoke(MIDDLE)
    fired = run(
        build(SmokeOrFireParameters(ZONE)), scenes(square.clear, 70), scenes(hidden, 30, start=70, present=(person,))
    )

    assert fired == []


def test_nothing_is_said_before_the_usual_look_is_known() -> None:
    square = Square()
    assert run(build(SmokeOrFireParameters(ZONE)), scenes(square.clear, 20), scenes(square.fire(MIDDLE), 30)) == []


def test_smoke_that_comes_again_is_told_again() -> None:
    square, rule = Square(), build(SmokeOrFireParameters(ZONE))
    smoke = square.smoke(MIDDLE)
    parts = [scenes(square.clear, 70), scenes(smoke, 20, start=70), scenes(square.clear, 30, start=90)]

    assert len(run(rule, *parts, scenes(smoke, 20, start=120))) == 2


# --- water


def test_standing_water_is_told() -> None:
    square = Square()
    lower: Sequence[Point] = ((0.2, 0.3), (0.8, 0.3), (0.8, 0.8), (0.2, 0.8))
    places = Places(zones={ZONE: tuple(lower)})
    fired = run(
        build(FloodingParameters(ZONE, minimum_duration=20.0), places=places),
        scenes(square.clear, 70),
        scenes(square.water(MIDDLE), 40, start=70),
    )

    (firing,) = fired
    assert firing.quantity == "area under water"
    assert firing.value >= 0.2


@pytest.mark.parametrize("zone", [((0.2, 0.3), (0.8, 0.3), (0.8, 0.8), (0.2, 0.8)), WHOLE])
def test_fog_is_no_flood(zone: tuple[Point, ...]) -> None:
    square = Square()
    rule = build(FloodingParameters(ZONE, minimum_duration=10.0), places=Places(zones={ZONE: zone}))

    assert run(rule, scenes(square.clear, 70), scenes(square.fog(0.2), 40, start=70)) == []


# --- visibility


def test_lost_visibility_is_told_with_what_is_left() -> None:
    square = Square()
    fired = run(build(LostVisibilityParameters(ZONE)), scenes(square.clear, 70), scenes(square.fog(0.2), 60, start=70))

    (firing,) = fired
    assert firing.value == pytest.approx(0.2, abs=0.03)
    assert firing.value <= firing.threshold == 0.3
    assert 89 <= firing.time <= 92
    assert firing.box == (0.0, 0.0, 4 * WIDTH, 4 * HEIGHT)


def test_haze_is_not_told_and_a_share_that_could_never_end_is_refused() -> None:
    square = Square()
    fired = run(build(LostVisibilityParameters(ZONE)), scenes(square.clear, 70), scenes(square.fog(0.6), 60, start=70))

    assert fired == []
    with pytest.raises(RuleCannotRunError, match=r"below 0\.67"):
        build(LostVisibilityParameters(ZONE, maximum_share=0.7))


@pytest.mark.parametrize(
    "parameters", [SmokeOrFireParameters(ZONE), FloodingParameters(ZONE), LostVisibilityParameters(ZONE)]
)
def test_frames_without_pictures_of_another_size_or_after_a_gap_break_nothing(parameters: RuleParameters) -> None:
    square, rule = Square(), build(parameters)
    small = Picture(*(plane[:60, :100] for plane in (square.clear(0).luma, square.clear(0).blue, square.clear(0).red)))
    parts = (
        scenes(square.clear, 70),
        [Scene(71.0, 10, 10, ()), Scene(72.0, 400, 240, (), picture=small)],
        scenes(square.clear, 5, start=9000.0),
        scenes(square.clear, 5),
    )
    assert run(rule, *parts) == []
    rule.reset()


# --- somebody on the ground


def body(*, lying: bool, x: float = 300.0, track: int = 5) -> Presence:
    width, height = (90.0, 40.0) if lying else (36.0, 90.0)
    box = (x - width / 2, 300.0 - height, x + width / 2, 300.0)
    return Presence(track, ObjectClass.PERSON, (x, 300.0), height, box)


def story(*parts: tuple[float, tuple[Presence, ...]], step: float = 0.2) -> list[Scene]:
    frames = [present for seconds, present in parts for _ in range(round(seconds / step))]
    return [Scene(number * step, 768, 448, present) for number, present in enumerate(frames)]


def test_somebody_who_falls_and_stays_down_is_told_once() -> None:
    up, down = body(lying=False), body(lying=True)
    (firing,) = run(build(PersonDownParameters(ZONE)), story((5, (up,)), (30, (down,))))

    assert (firing.quantity, firing.unit, firing.threshold) == ("lying", "s", 10.0)
    assert firing.value == pytest.approx(10.0)
    assert firing.start_time == pytest.approx(5.0, abs=0.3)
    assert firing.tracks == (5,)


@pytest.mark.parametrize(
    "parts",
    [
        ((5, (body(lying=False),)), (8, (body(lying=True),)), (30, (body(lying=False),))),
        tuple((0.2, (body(lying=True, x=100.0 + 12.0 * number),)) for number in range(60)),
        ((40, (body(lying=False),)),),
    ],
    ids=["gets up", "crawls on", "stands"],
)
def test_who_gets_up_crawls_or_stands_is_not_told(parts: tuple[tuple[float, tuple[Presence, ...]], ...]) -> None:
    assert run(build(PersonDownParameters(ZONE)), story(*parts)) == []


def test_a_car_does_not_lie_on_the_ground() -> None:
    car = Presence(3, ObjectClass.CAR, (300.0, 300.0), 60.0, (200.0, 240.0, 400.0, 300.0))

    assert run(build(PersonDownParameters(ZONE)), story((30, (car,)))) == []


# --- a thing left behind


def at(track: int, kind: ObjectClass, east: float, north: float = 12.0) -> Presence:
    (x, y), *_ = CALIBRATION.to_image(np.array([[east, north]])).tolist()
    foot = (x * 768, y * 448)
    box = (foot[0] - 8, foot[1] - 16, foot[0] + 8, foot[1])
    return Presence(track, kind, foot, 16.0, box, ground=(east, north))


BAG = at(9, ObjectClass.LUGGAGE, 0.0)


def person(east: float, track: int = 1) -> Presence:
    return at(track, ObjectClass.PERSON, east)


def test_the_table_of_abandoned_objects_is_whole() -> None:
    assert set(abandoned.TRANSITIONS) == set(itertools.product(Standing, Sign))
    told = {key for key, (_, fires) in abandoned.TRANSITIONS.items() if fires}
    assert told == {(standing, Sign.ABANDONED) for standing in Standing if standing is not Standing.REPORTED}
    assert all(
        state is Standing.CARRIED for (_, sign), (state, _) in abandoned.TRANSITIONS.items() if sign is Sign.MOVES
    )


def test_a_bag_whose_owner_left_is_told_once() -> None:
    (firing,) = run(
        build(AbandonedObjectParameters(ZONE)), story((10, (BAG, person(1.0))), (100, (BAG, person(5.0))), step=0.5)
    )

    assert (firing.quantity, firing.unit, firing.threshold) == ("without its owner", "s", 30.0)
    assert firing.value >= 30.0
    assert firing.time >= 60.0
    assert (firing.tracks, firing.classes) == ((9,), (ObjectClass.LUGGAGE,))


@pytest.mark.parametrize(
    "parts",
    [
        ((200, (BAG, person(2.0))),),
        ((10, (BAG, person(1.0))), (20, (BAG, person(5.0))), (100, (BAG, person(1.0)))),
        ((10, (BAG, person(1.0))), (1, (BAG,)), (100, (BAG, person(1.0, track=2)))),
        tuple((0.5, (at(9, ObjectClass.LUGGAGE, number * 0.4), person(number * 0.4 + 5))) for number in range(40)),
    ],
    ids=["owner beside it", "owner comes back", "owner's track breaks", "carried"],
)
def test_a_bag_that_somebody_looks_after_is_not_told(parts: tuple[tuple[float, tuple[Presence, ...]], ...]) -> None:
    assert run(build(AbandonedObjectParameters(ZONE)), story(*parts, step=0.5)) == []


def test_passers_by_do_not_make_a_bag_attended() -> None:
    alone: list[tuple[float, tuple[Presence, ...]]] = [(10.0, (BAG, person(1.0)))]
    alone += [(1.0, (BAG, person(5.0), person(1.5, track=10 + number))) for number in range(100)]

    assert len(run(build(AbandonedObjectParameters(ZONE)), story(*alone, step=0.5))) == 1


def test_without_a_calibration_it_says_that_it_cannot_run() -> None:
    with pytest.raises(RuleCannotRunError, match="calibration points"):
        build(AbandonedObjectParameters(ZONE), places=Places(zones={ZONE: WHOLE}))
