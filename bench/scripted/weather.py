"""Rendered pictures of a square: smoke, fire, water and fog, and what is none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, Final

import numpy as np

from bench.scripted.scenery import HEIGHT, WIDTH, Region, Square
from bench.scripted.stages import place, square
from bench.scripted.takes import Labels, Study, Take
from detector.domain.picture import Picture

RECORDINGS: Final = 5
_SCALE: Final = 4
_LEARNING: Final = 65.0
"""Clear air before anything is said, seconds."""
_PART, _CLEAR = 30.0, 25.0
_TOP: Final = 0.3
"""Of the zone, a share of the height: above it is no ground, which shows whether the air is clear."""


@dataclass(frozen=True)
class Part:
    """A part of a recording.

    Attributes:
        render: the square -> what it looks like.
        due: after how long the rule can know; None: there is nothing to tell.
    """

    render: Callable[[Square], Callable[[int], Picture]]
    due: float | None = None


class Recording:
    """Parts one after the other, with clear air between them; the same pictures whenever it is played from the start.

    Args:
        parts: what is shown.
        seed: of the paving and the noise.
    """

    def __init__(self, parts: Sequence[Part], seed: int) -> None:
        self._parts, self._seed = parts, seed
        self._begin()

    def __call__(self, time: float) -> Picture:
        """The picture of a time; times come in order, from 0 on."""
        if time == 0.0:
            self._begin()
        index, since = divmod(max(0.0, time - _LEARNING), _PART + _CLEAR)
        shows = time >= _LEARNING and since < _PART and index < len(self._parts)
        return self._looks[int(index)](0) if shows else self._square.clear(0)

    @property
    def seconds(self) -> float:
        """Its length."""
        return _LEARNING + len(self._parts) * (_PART + _CLEAR)

    def labels(self) -> Labels:
        """What a rule ought to tell of it."""
        starts = [(_LEARNING + index * (_PART + _CLEAR), part.due) for index, part in enumerate(self._parts)]
        return Labels(tuple((start, start + due, start + _PART) for start, due in starts if due is not None))

    def _begin(self) -> None:
        self._square = Square(self._seed)
        self._looks = [part.render(self._square) for part in self._parts]


def smoke_or_fire() -> Study:
    """Smoke and fire of several sizes; a lamp, fog, and standing water."""

    def parts(random: np.random.Generator) -> list[Part]:
        regions = [_region(random, 0.08, 0.25) for _ in range(5)]
        density = random.uniform(0.6, 0.9)
        return [
            Part(lambda scene: scene.smoke(regions[0], density), 10.0),
            Part(lambda scene: scene.lamp(regions[1])),
            Part(lambda scene: scene.fire(regions[2]), 10.0),
            Part(lambda scene: scene.fog(0.3)),
            Part(lambda scene: scene.smoke(regions[3], 0.85), 10.0),
            Part(lambda scene: scene.water(regions[4])),
            Part(lambda scene: scene.fire(regions[0]), 10.0),
        ]

    return _study("smoke_or_fire", {}, parts)


def flooding() -> Study:
    """Water on a third to a half of the ground, in 20 s; a puddle, and fog."""

    def parts(random: np.random.Generator) -> list[Part]:
        floods = [_region(random, 0.3, 0.5) for _ in range(4)]
        puddle = _region(random, 0.03, 0.06)
        wet = [Part(methodcaller("water", region), 20.0) for region in floods]
        return [*wet, Part(lambda scene: scene.water(puddle)), Part(lambda scene: scene.fog(0.3))]

    return _study("flooding", {"minimum_duration": "20s"}, parts)


def lost_visibility() -> Study:
    """Fog that leaves a tenth to a quarter of the contrast; haze that leaves more than half, and smoke in a part."""

    def parts(random: np.random.Generator) -> list[Part]:
        left = random.uniform(0.05, 0.25, 4).tolist()
        dense = [Part(methodcaller("fog", share), 20.0) for share in left]
        cloud = _region(random, 0.1, 0.25)
        return [*dense, Part(lambda scene: scene.fog(0.6)), Part(lambda scene: scene.smoke(cloud))]

    return _study("lost_visibility", {}, parts)


def _study(rule: str, parameters: dict[str, Any], parts: Callable[[np.random.Generator], list[Part]]) -> Study:
    recordings = [Recording(parts(np.random.default_rng(seed)), seed) for seed in range(RECORDINGS)]
    takes = [Take("weather", each.seconds, each.labels(), picture=each) for each in recordings]
    configuration = square(rule, {"zone": place("zones", "ground"), **parameters})
    ground = [{"x": x, "y": y} for x, y in ((0.0, _TOP), (1.0, _TOP), (1.0, 1.0), (0.0, 1.0))]
    configuration["zones"] = [{"name": place("zones", "ground"), "polygon": {"points": ground}}]
    return Study(configuration, takes, _SCALE * WIDTH, _SCALE * HEIGHT)


def _region(random: np.random.Generator, least: float, most: float) -> Region:
    """A rectangle on the ground that covers such a share of it."""
    side, upper = float(np.sqrt(random.uniform(least, most))), round(_TOP * HEIGHT)
    rows, columns = round(side * (HEIGHT - upper)), round(side * WIDTH)
    top, left = int(random.integers(upper, HEIGHT - rows + 1)), int(random.integers(0, WIDTH - columns + 1))
    return slice(top, top + rows), slice(left, left + columns)
