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
    from detector.domain.geometry import Floats, Point
    from detector.domain.scene import Lane


@dataclass(frozen=True, slots=True)
class OnCourse:
    """Places with respect to a lane's course.

    Attributes:
        along: n, metres from the course's beginning to the place of the course that is nearest; beyond its ends it goes
            on straight.
        direction: n x 2, of the course there, unit vectors, east and north.
    """

    along: Floats
    direction: Floats


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

    def at(self, positions: Floats) -> OnCourse:
        """Where places on the ground, n x 2, metres east and north, are with respect to the course."""
        off = np.full(len(positions), math.inf)
        along, direction = np.zeros(len(positions)), np.zeros((len(positions), 2))
        for piece in self._pieces:
            distance, reached = self._on(piece, positions)
            nearer = distance < off
            off[nearer], along[nearer], direction[nearer] = distance[nearer], reached[nearer], piece.direction
        return OnCourse(along, direction)

    def _on(self, piece: _Piece, positions: Floats) -> tuple[Floats, Floats]:
        """How far each place is from a piece, and how far along the course the piece's nearest place to it is."""
        east, north = positions[:, 0] - piece.start[0], positions[:, 1] - piece.start[1]
        along = east * piece.direction[0] + north * piece.direction[1]
        across = east * piece.direction[1] - north * piece.direction[0]
        low = -math.inf if piece is self._pieces[0] else 0.0
        high = math.inf if piece is self._pieces[-1] else piece.length
        reached = np.clip(along, low, high)
        return np.hypot(across, along - reached), piece.before + reached


def angles_between(first: Floats, second: Floats) -> Floats:
    """Degrees between two directions on the ground of each pair, n x 2; n, 0 to 180."""
    dot = first[:, 0] * second[:, 0] + first[:, 1] * second[:, 1]
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    angles: Floats = np.degrees(np.arctan2(np.abs(cross), dot))
    return angles
