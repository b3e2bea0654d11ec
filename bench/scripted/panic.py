"""Crowds that run apart (piazza San Carlo, 3 June 2017), and the lively crowds that do not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.scripted import crowds
from bench.scripted.crowds import Script
from bench.scripted.stages import CAMERA, crowd_seen, place, square
from bench.scripted.takes import Labels, Study, Take

SECONDS: Final = 24.0
ONSET: Final = 14.0
_EPISODE_SECONDS: Final = 5.0
"""Until then an operator has to know; the scorecard's grace of five seconds comes on top, as time to detect shows."""
EPISODES: Final = 20
NEGATIVES_EACH: Final = 3


def dispersal(episodes: int = EPISODES, negatives: int = NEGATIVES_EACH) -> Study:
    """Groups of 12 to 35 who bolt; and seven kinds of crowds of the same length that do not."""
    takes = [bolting_take(seed) for seed in range(episodes)]
    takes += [
        Take(name, SECONDS, seen=crowd_seen(script(seed)))
        for name, script in LIVELY
        for seed in range(100, 100 + negatives)
    ]
    return Study(square("dispersal", {"zone": place("zones", "square")}), takes, CAMERA.width, CAMERA.height)


def bolting_take(seed: int) -> Take:
    """A crowd that runs apart, the larger the later its seed."""
    at = ONSET + (seed % 5) * 0.5
    script = crowds.bolting(12 + seed, SECONDS, at, seed)
    return Take(
        f"{12 + seed} people run apart", SECONDS, Labels(((at, at, at + _EPISODE_SECONDS),)), crowd_seen(script)
    )


def _two_groups(seed: int) -> Script:
    east = crowds.passing(8, SECONDS, 8.0, seed, speed=2.8, north=17.0)
    return crowds.together(east, crowds.passing(8, SECONDS, 8.0, seed + 50, speed=-2.8, north=19.0))


LIVELY: Final[tuple[tuple[str, Callable[[int], Script]], ...]] = (
    ("a bus that empties a stop", lambda seed: crowds.boarding(20, SECONDS, ONSET, seed)),
    ("a celebration in place", lambda seed: crowds.celebrating(20, SECONDS, ONSET, seed)),
    ("joggers", lambda seed: crowds.jogging(10, SECONDS, ONSET, seed)),
    (
        "joggers through people who stand",
        lambda seed: crowds.together(crowds.waiting(12, SECONDS, seed), crowds.jogging(8, SECONDS, ONSET, seed + 50)),
    ),
    ("all run to one place", lambda seed: crowds.rushing(20, SECONDS, ONSET, seed)),
    ("children who play", partial(crowds.playing, 12, SECONDS)),
    ("two groups that run through each other", _two_groups),
)
"""Kinds of crowds that are no dispersal: name, and script by seed."""
