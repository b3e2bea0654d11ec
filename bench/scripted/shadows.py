"""What runs in shadow: people who lie on the ground, and things that are left; and what looks a little like it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bench.scripted.stages import Size, actors_seen, place, street
from bench.scripted.takes import Labels, Study, Take
from bench.scripted.traffic import HEIGHT, WIDTH, Actor, Pose
from detector.domain.detections import ObjectClass

EPISODES, NEGATIVES_EACH = 20, 4
_DOWN_SECONDS, _LIES_FROM, _FALLS = 26.0, 10.0, 6.0
_THING_SECONDS: Final = 95.0
_PUT_DOWN, _LEAVES = 6.0, 10.0
_STANDS_FOR, _AWAY_FOR, _AWAY_METRES, _WALK = 60.0, 30.0, 3.0, 1.4
_LYING, _SITTING, _STOOPING = (1.7, 0.5, 0.35), (0.8, 0.6, 1.25), (0.9, 0.55, 1.0)
"""Length, width and height, metres."""


# Person down ----------------------------------------------------------------------------------------------------------


def person_down() -> Study:
    """Somebody falls and lies, in any direction; others sit, stoop, or fall and get up."""
    takes = [_fall(seed, _DOWN_SECONDS, _LYING, labelled=True) for seed in range(EPISODES)]
    for seed in range(NEGATIVES_EACH):
        takes.append(_fall(seed + 50, _FALLS + 4.0, _LYING, labelled=False))
        takes.append(_fall(seed + 60, _DOWN_SECONDS, _SITTING, labelled=False))
        takes.append(_fall(seed + 70, _DOWN_SECONDS, _STOOPING, labelled=False))
    return Study(street("person_down", {"zone": place("zones", "road")}), takes, WIDTH, HEIGHT)


def _fall(seed: int, until: float, size: tuple[float, float, float], *, labelled: bool) -> Take:
    random = np.random.default_rng(seed)
    east, north, heading = random.uniform(-3.0, 3.0), random.uniform(12.0, 26.0), random.uniform(0.0, 180.0)

    def pose(time: float) -> Pose:
        walked = _WALK * (min(0.0, time - _FALLS) + max(0.0, time - until))
        down = _FALLS <= time < until
        return east + walked, north, heading if down else 90.0

    sizes: dict[int, Size] = {1: lambda time: size if _FALLS <= time < until else None}
    across = abs(math.sin(math.radians(heading)))
    names = {_LYING: f"somebody lies, {math.degrees(math.asin(across)):.0f} degrees off the view", _SITTING: "sits"}
    episodes = ((_FALLS, _FALLS + _LIES_FROM, _DOWN_SECONDS),) if labelled else ()
    seen = actors_seen([Actor(1, ObjectClass.PERSON, pose)], sizes)
    return Take(names.get(size, "somebody stoops"), _DOWN_SECONDS, Labels(episodes), seen)


# Abandoned object -----------------------------------------------------------------------------------------------------


def abandoned_object() -> Study:
    """A bag whose owner walks away; and bags whose owners stay beside them, or come back.

    Who comes back into the picture is nobody that the detector knows: nobody is ever recognised. Such takes are there,
    too, and what is told of them counts as a false alarm.
    """
    takes = [_bag("a bag is left", seed, math.inf) for seed in range(EPISODES)]
    for seed in range(NEGATIVES_EACH):
        takes.append(_bag("the owner stays", seed + 50, 0.0))
        takes.append(_bag("the owner comes back", seed + 60, 5.0))
        takes.append(_bag("the owner leaves the picture and comes back", seed + 70, 14.0))
    return Study(street("abandoned_object", {"zone": place("zones", "road")}), takes, WIDTH, HEIGHT)


def _bag(name: str, seed: int, out: float) -> Take:
    """A bag whose owner walks away for so many seconds, and back for as many."""
    random = np.random.default_rng(seed)
    east, north = random.uniform(-3.0, 2.0), random.uniform(12.0, 20.0)

    def owner(time: float) -> Pose:
        since = max(0.0, time - _LEAVES)
        far = max(0.0, min(since, out) - max(0.0, since - out))
        return east + 0.6 + (min(0.0, time - _PUT_DOWN) + far) * _WALK, north, 90.0

    def thing(time: float) -> Pose:
        return east + min(0.0, time - _PUT_DOWN) * _WALK, north, 90.0

    due = max(_PUT_DOWN + _STANDS_FOR, _LEAVES + (_AWAY_METRES - 0.6) / _WALK + _AWAY_FOR)
    seen = actors_seen([Actor(1, ObjectClass.PERSON, owner), Actor(2, ObjectClass.LUGGAGE, thing)])
    episodes = ((_PUT_DOWN, due, _THING_SECONDS),) if math.isinf(out) else ()
    return Take(name, _THING_SECONDS, Labels(episodes), seen)
