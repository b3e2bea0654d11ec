"""Which way a track went: over the ground where the optic is calibrated, else by its way through the picture.

A way through the picture becomes a direction of the compass only when the registry says where the optic looks: to the
right is a quarter turn clockwise from there, upwards is away. How far away is not known without calibration, and what
is far moves less in the picture, so such a direction is only good to an eighth of a turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from alerting.domain.search.atlas import Atlas
from alerting.domain.search.query import Track

GROUND_ERROR: Final = 20.0
"""Degrees over which a direction on the ground goes from fitting to not fitting."""
PICTURE_ERROR: Final = 60.0
"""Likewise of one that is read from the picture."""
_SHORTEST_WAY: Final = 0.05
"""Of the picture's width: who moved less has no direction in it."""
_DEPTH: Final = 3.0
"""How many times more ground lies behind a step up the picture than behind one across it, for a camera that looks down
at some twenty degrees (one over the sine of the angle)."""


@dataclass(frozen=True, slots=True)
class Direction:
    """Degrees clockwise from north, and how they are known."""

    degrees: float
    on_ground: bool
    at_end: bool


def directions(track: Track, atlas: Atlas) -> list[Direction]:
    """What is known of where a track went; the whole way, and its end."""
    found = [
        Direction(degrees, on_ground=True, at_end=at_end)
        for degrees, at_end in ((track.heading, False), (track.leaving, True))
        if degrees is not None
    ]
    if found:
        return found
    degrees = _through_picture(track, atlas)
    return [] if degrees is None else [Direction(degrees, on_ground=False, at_end=False)]


def direction_error(direction: Direction) -> float:
    """Degrees."""
    return GROUND_ERROR if direction.on_ground else PICTURE_ERROR


def _through_picture(track: Track, atlas: Atlas) -> float | None:
    view = atlas.view(track.optic, track.site)
    if view is None or view.heading is None:
        return None
    if track.from_x is None or track.from_y is None or track.to_x is None or track.to_y is None:
        return None
    right, away = track.to_x - track.from_x, track.from_y - track.to_y
    if math.hypot(right, away) < _SHORTEST_WAY:
        return None
    return (view.heading + math.degrees(math.atan2(right, away * _DEPTH))) % 360.0
