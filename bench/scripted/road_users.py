"""A street: vehicles that go the wrong way, stop, creep; people on the carriageway; and the traffic that does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.scripted.stages import COURSE, LANE, ROAD, actors_seen, place, stay, street
from bench.scripted.takes import Labels, Study, Take
from bench.scripted.traffic import HEIGHT, WIDTH, Actor, drive, halt
from detector.domain.detections import ObjectClass

EPISODES: Final = 20
NEGATIVES_EACH: Final = 4
_FAR, _NEAR = 58.0, 11.0
_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 32.0
_SLOW_SECONDS: Final = 70.0
_EXAMPLES = range(NEGATIVES_EACH)


def _other_lane(seconds: float, gap: float = 5.0) -> list[Actor]:
    """Traffic towards the camera in the lane that nothing is asked of."""
    return [
        drive(900 + number, (-2.0, _FAR), (-2.0, _NEAR), 12.0, begin=gap * number)
        for number in range(int(seconds / gap))
    ]


def _take(name: str, seconds: float, actors: Sequence[Actor], *episodes: tuple[float, float, float]) -> Take:
    return Take(name, seconds, Labels(episodes), actors_seen([*actors, *_other_lane(seconds)]))


# Wrong way ------------------------------------------------------------------------------------------------------------


def wrong_way() -> Study:
    """Vehicles that come down the lane that leads away; and those that do not, however they drive."""
    takes = [_ghost(seed) for seed in range(EPISODES)]
    for seed in _EXAMPLES:
        random = np.random.default_rng(seed)
        flow = [drive(n, (2.0, 12.0), (2.0, _FAR), random.uniform(8.0, 14.0), begin=4.0 * n) for n in range(4)]
        takes.append(_take("traffic along the lane", _SECONDS, flow))
        slow = drive(1, (2.6, 12.0), (2.6, _FAR), 4.0)
        cycle = drive(2, (1.0, 12.0), (1.0, _FAR), random.uniform(5.5, 7.0), begin=3.0, kind=ObjectClass.BICYCLE)
        takes.append(_take("a bicycle overtakes a slow car", _SECONDS, [slow, cycle]))
        back = drive(1, (2.0, 28.0), (2.0, 22.0), 1.5, begin=4.0)
        takes.append(_take("a car reverses six metres to park", _SECONDS, [back]))
        walker = drive(1, (3.5, 40.0), (3.5, 14.0), 1.4, kind=ObjectClass.PERSON)
        takes.append(_take("somebody walks along the lane's edge", _SECONDS, [walker]))
    return Study(street("wrong_way", {"lane": place("lanes", "north")}), takes, WIDTH, HEIGHT)


def _ghost(seed: int) -> Take:
    random = np.random.default_rng(seed)
    kind = (ObjectClass.CAR, ObjectClass.CAR, ObjectClass.MOTORCYCLE, ObjectClass.BUS)[seed % 4]
    speed, east = random.uniform(6.0, 14.0), random.uniform(1.4, 2.6)
    car = drive(1, (east, _FAR), (east, _NEAR), speed, begin=random.uniform(4.0, 6.0), kind=kind)
    start, end = stay(car, LANE, _SECONDS) or (0.0, 0.0)
    due = min(start + max(2.0, 10.0 / speed), end)
    return _take(f"a {kind.name.lower()} the wrong way at {speed * 3.6:.0f} km/h", _SECONDS, [car], (start, due, end))


# Stopped vehicle ------------------------------------------------------------------------------------------------------


def stopped_vehicle() -> Study:
    """Vehicles that break down; and a queue at a light, short stops, cars parked beside the road, and slow ones."""
    takes = [_broken_down(seed) for seed in range(EPISODES)]
    for seed in _EXAMPLES:
        random = np.random.default_rng(seed)
        queue = [halt(n, (2.0, 52.0 - 7.0 * n), arrives=3.0 + n, leaves=24 + 1.5 * n, speed=8.0) for n in range(5)]
        takes.append(_take("a queue at a light", _STOP_SECONDS, queue))
        parked = halt(1, (6.5, random.uniform(16.0, 35.0)), arrives=random.uniform(-5.0, 4.0))
        takes.append(_take("a parked car outside the zone", _STOP_SECONDS, [parked]))
        bus = halt(1, (2.5, random.uniform(18.0, 30.0)), arrives=4.0, leaves=11.5, kind=ObjectClass.BUS)
        takes.append(_take("a bus at its stop for eight seconds", _STOP_SECONDS, [bus]))
        creeping = drive(1, (2.0, 14.0), (2.0, _FAR), random.uniform(1.0, 1.6))
        takes.append(_take("a vehicle that creeps", _STOP_SECONDS, [creeping]))
    return Study(street("stopped_vehicle", {"zone": place("zones", "road")}), takes, WIDTH, HEIGHT)


def _broken_down(seed: int) -> Take:
    random = np.random.default_rng(seed)
    kind = (ObjectClass.CAR, ObjectClass.CAR, ObjectClass.MOTORCYCLE, ObjectClass.BUS)[seed % 4]
    at, north = random.uniform(4.0, 8.0), random.uniform(14.0, 45.0)
    # A bus that is nearer does not fit into the picture.
    north = max(north, 18.0) if kind is ObjectClass.BUS else north
    car = halt(1, (random.uniform(1.5, 3.0), north), arrives=at, kind=kind)
    name = f"a {kind.name.lower()} breaks down at {north:.0f} m"
    return _take(name, _STOP_SECONDS, [car], (at, at + 10.0, _STOP_SECONDS))


# Pedestrian on the carriageway ----------------------------------------------------------------------------------------


def pedestrian_on_carriageway() -> Study:
    """People who cross or walk along the road; and cyclists, people on the pavement, and those who cross at a run."""
    takes = [_on_foot(seed) for seed in range(EPISODES)]
    for seed in _EXAMPLES:
        random = np.random.default_rng(seed)
        takes.append(_take("a cyclist", _SECONDS, _cyclist(random.uniform(1.0, 3.0), random.uniform(3.0, 6.0))))
        walkers = [
            drive(n, (random.uniform(5.2, 7.5), 14.0), (random.uniform(5.2, 7.5), 40.0), 1.4, kind=ObjectClass.PERSON)
            for n in range(1, 4)
        ]
        takes.append(_take("people on the pavement", _SECONDS, walkers))
        driver = [
            Actor(1, ObjectClass.CAR, drive(1, (2.0, 14.0), (2.0, _FAR), 5.0).pose),
            drive(2, (4.6, random.uniform(15.0, 30.0)), (4.7, 31.0), 0.05, kind=ObjectClass.PERSON),
        ]
        takes.append(_take("somebody waits at the kerb while a car passes", _SECONDS, driver))
    parameters = {"zone": place("zones", "road")}
    return Study(street("pedestrian_on_carriageway", parameters), takes, WIDTH, HEIGHT)


def _on_foot(seed: int) -> Take:
    random = np.random.default_rng(seed)
    north, begin = random.uniform(13.0, 35.0), random.uniform(2.0, 6.0)
    if seed % 3:
        walker = drive(1, (7.0, north), (-7.0, north + 2.0), 1.35, begin=begin, kind=ObjectClass.PERSON)
        name = f"somebody crosses at {north:.0f} m"
    else:
        walker = drive(1, (3.0, north), (3.0, north + 20.0), 1.4, begin=begin, kind=ObjectClass.PERSON)
        name = f"somebody walks along the road at {north:.0f} m"
    start, end = stay(walker, ROAD, _SECONDS) or (0.0, 0.0)
    return _take(name, _SECONDS, [walker], (start, start + 2.0, end))


def _cyclist(east: float, speed: float) -> list[Actor]:
    """A bicycle and the person on it, who is seen a little behind the bicycle's front wheel, feet above the ground."""
    cycle = drive(1, (east, 13.0), (east, _FAR), speed, kind=ObjectClass.BICYCLE)
    return [cycle, Actor(2, ObjectClass.PERSON, cycle.pose)]


# Slow traffic ---------------------------------------------------------------------------------------------------------


def slow_traffic() -> Study:
    """A lane that moves at 8 to 18 km/h, or queues; and lanes that flow, with a tractor or a bicycle among them."""
    parameters = {"lane": place("lanes", "north"), "free_flow_kmh": 50}
    takes = [_slow(seed) for seed in range(20)]
    for seed in range(4):
        random = np.random.default_rng(seed)
        flow = [drive(n, COURSE[0], (2.0, _FAR), random.uniform(10.0, 14.0), begin=3.0 * n) for n in range(22)]
        takes.append(_take("traffic that flows", _SLOW_SECONDS, flow))
        cycle = drive(100, (3.4, 12.0), (3.4, _FAR), 3.5, begin=10.0, kind=ObjectClass.BICYCLE)
        takes.append(_take("traffic that flows past a bicycle", _SLOW_SECONDS, [*flow, cycle]))
    return Study(street("slow_traffic", parameters), takes, WIDTH, HEIGHT)


def _slow(seed: int) -> Take:
    random = np.random.default_rng(seed)
    kmh = random.uniform(8.0, 18.0)
    speed, gap = kmh / 3.6, random.uniform(9.0, 13.0) * 3.6 / kmh
    cars = [drive(n, COURSE[0], (2.0, _FAR), speed, begin=1.0 + gap * n) for n in range(int(_SLOW_SECONDS / gap))]
    inside = [stay(car, LANE, _SLOW_SECONDS) for car in cars[:3]]
    start = max(span[0] for span in inside if span)
    name = f"traffic at {kmh:.0f} km/h"
    return _take(name, _SLOW_SECONDS, cars, (start, min(start + 30.0, _SLOW_SECONDS), _SLOW_SECONDS))
