"""What of a track's way a search can ask for: worked out once, when it comes, so that the database can pick by it.

Places on the ground are metres east and north, places in the picture shares of its width and height, origin top left,
y downwards; directions are degrees clockwise from north, times seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SHORTEST_WAY: Final = 2.0
"""Metres: who has come no further has no direction. It is four times what a calibrated foot is off by in the field."""
LEAVING_WAY: Final = 5.0
"""Metres: over this much of its end a track is taken to leave in one direction."""
MOVING: Final = 1.0
"""Metres per second: slower, the heading of the moment says little. It is the detector's own largest speed error."""
_SHORTEST_STEP_SECONDS: Final = 0.5
"""Between two points: a speed over less is mostly the box's tremble."""

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PathPoint:
    """Where a track was.

    Attributes:
        time: seconds, from any origin that is the same for all points.
        image: in the picture.
        ground: on the ground; none: the optic is not calibrated.
    """

    time: float
    image: Place
    ground: Place | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """What a search can ask for; none: not known.

    Attributes:
        still_seconds: it stood still for at most this long at one place, within half its height in the picture.
        heading: from its first place to its last.
        leaving: where it went at the end.
        speed_low: metres per second, the least over a step of its way.
        speed_high: the most. Neither is known of a person.
        first: its first place in the picture.
        last: its last one.
    """

    still_seconds: float | None = None
    heading: float | None = None
    leaving: float | None = None
    speed_low: float | None = None
    speed_high: float | None = None
    first: Place | None = None
    last: Place | None = None


def describe(
    path: Sequence[PathPoint], end_time: float, *, may_have_speed: bool, reported: tuple[float, float] | None = None
) -> Features:
    """The features of a track.

    Args:
        path: its thinned way, oldest first: a point for every half of its height that it moved.
        end_time: when it was last seen, seconds, on the clock of the path.
        may_have_speed: false of persons, of whom only aggregates tell a speed.
        reported: metres per second and heading as the detector measured them last; none: not known.
    """
    if not path:
        return Features()
    times = [point.time for point in path] + [max(end_time, path[-1].time)]
    ground = [(point.time, point.ground) for point in path if point.ground is not None]
    places = [place for _time, place in ground]
    low, high = _speeds(ground, reported) if may_have_speed else (None, None)
    leaving = reported[1] if reported is not None and reported[0] >= MOVING else _leaving(places)
    return Features(
        still_seconds=max(later - earlier for earlier, later in pairwise(times)),
        heading=_bearing(places[0], places[-1], SHORTEST_WAY) if places else None,
        leaving=leaving,
        speed_low=low,
        speed_high=high,
        first=path[0].image,
        last=path[-1].image,
    )


def bearing(origin: Place, target: Place) -> float:
    """The direction from one place on the ground to another."""
    return math.degrees(math.atan2(target[0] - origin[0], target[1] - origin[1])) % 360.0


def _bearing(origin: Place, target: Place, shortest: float) -> float | None:
    return bearing(origin, target) if math.dist(origin, target) >= shortest else None


def _leaving(places: Sequence[Place]) -> float | None:
    """The direction of the last metres."""
    for place in reversed(places[:-1]):
        if math.dist(place, places[-1]) >= LEAVING_WAY:
            return bearing(place, places[-1])
    return _bearing(places[0], places[-1], SHORTEST_WAY) if places else None


def _speeds(
    ground: Sequence[tuple[float, Place]], reported: tuple[float, float] | None
) -> tuple[float | None, float | None]:
    """The least and the most, over the steps of the way and as the detector measured it last."""
    steps = [
        math.dist(here, there) / (after - before)
        for (before, here), (after, there) in pairwise(ground)
        if after - before >= _SHORTEST_STEP_SECONDS
    ]
    if reported is not None:
        steps.append(reported[0])
    return (min(steps), max(steps)) if steps else (None, None)
