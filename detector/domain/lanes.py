"""A lane on the ground: which way it leads, and how far along it something is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.domain.rules import RuleCannotRunError

if TYPE_CHECKING:
    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point
    from detector.domain.scene import Lane


@dataclass(frozen=True, slots=True)
class OnCourse:
    """A place with respect to a lane's course.

    Attributes:
        along: metres from the course's beginning to the place of the course that is nearest; beyond its ends it goes on
            straight.
        direction: of the course there, unit vector, east and north.
    """

    along: float
    direction: Point


@dataclass(frozen=True, slots=True)
class _Piece:
    start: Point
    direction: Point
    length: float
    before: float
    """Metres of course before it."""


class Course:
    """A lane's course on the ground.

    Args:
        lane: normalised.
        calibration: of the optic.

    Raises:
        RuleCannotRunError: it reaches the horizon, or has no length.
    """

    def __init__(self, lane: Lane, calibration: Calibration) -> None:
        ground = calibration.to_ground(np.array(lane.course, dtype=np.float64))
        if not np.isfinite(ground).all():
            message = "the lane's course reaches the horizon of the calibration or above: draw it lower"
            raise RuleCannotRunError(message)
        places = [(east, north) for east, north in ground.tolist()]
        self._pieces: list[_Piece] = []
        before = 0.0
        for start, end in itertools.pairwise(places):
            length = math.dist(start, end)
            if length > 0.0:
                direction = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
                self._pieces.append(_Piece(start, direction, length, before))
            before += length
        if not self._pieces:
            message = "the lane's course has no length: give it a beginning and an end"
            raise RuleCannotRunError(message)

    def at(self, position: Point) -> OnCourse:
        """Where a place on the ground, metres east and north, is with respect to the course."""
        return min((self._on(piece, position) for piece in self._pieces), key=lambda found: found[0])[1]

    def _on(self, piece: _Piece, position: Point) -> tuple[float, OnCourse]:
        east, north = position[0] - piece.start[0], position[1] - piece.start[1]
        along = east * piece.direction[0] + north * piece.direction[1]
        across = abs(east * piece.direction[1] - north * piece.direction[0])
        low = -math.inf if piece is self._pieces[0] else 0.0
        high = math.inf if piece is self._pieces[-1] else piece.length
        beyond = along - min(max(along, low), high)
        return math.hypot(across, beyond), OnCourse(piece.before + along - beyond, piece.direction)


def angle_between(first: Point, second: Point) -> float:
    """Degrees between two directions on the ground, 0 to 180."""
    dot, cross = first[0] * second[0] + first[1] * second[1], first[0] * second[1] - first[1] * second[0]
    return math.degrees(math.atan2(abs(cross), dot))
