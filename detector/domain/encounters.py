"""Surrogate safety measures: how close two road users came to a collision, on the ground, in seconds.

Definitions are those of the Surrogate Safety Assessment Model (Gettman, Pu, Sayed, Shelby: Surrogate Safety Assessment
Model and Validation, FHWA-HRT-08-051, 2008): time to collision is how long it would take two road users to collide if
both went on with their present speed and direction; post-encroachment time is the time between the moment when the
first leaves a place and the moment when the second comes to it. Road users are rectangles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.detections import ObjectClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.geometry import Point

SIZES: Final[Mapping[ObjectClass, tuple[float, float]]] = {
    ObjectClass.PERSON: (0.5, 0.5),
    ObjectClass.BICYCLE: (1.8, 0.6),
    ObjectClass.MOTORCYCLE: (2.1, 0.8),
    ObjectClass.CAR: (4.4, 1.8),
    ObjectClass.BUS: (12.0, 2.55),
    ObjectClass.TRUCK: (8.0, 2.5),
    ObjectClass.TRAIN: (30.0, 2.4),
}
"""Length and width of a common one of each class, metres; boxes in a picture do not tell them. Without authority."""
CELL_METRES: Final = 0.5
"""Side of the cells by which post-encroachment time knows places."""
CROSSING_DEGREES: Final = 30.0
"""Courses that differ by less follow each other (the limit of a rear-end conflict in the same model): for them
post-encroachment time is the headway of ordinary traffic, and is not taken."""
_RECENT_SECONDS: Final = 60.0
_CELLS_IN_A_ROW: Final = 2**32


@dataclass(frozen=True, slots=True)
class Footprint:
    """A road user on the ground.

    Attributes:
        centre: metres east and north.
        ahead: unit vector along its length.
        half_length: metres.
        half_width: metres.
        velocity: metres per second, east and north.
    """

    centre: Point
    ahead: Point
    half_length: float
    half_width: float
    velocity: Point

    def reach(self, direction: Point) -> float:
        """How far it reaches from its centre along a unit vector, metres."""
        return reach(self.ahead, self.half_length, self.half_width, direction)


def reach(ahead: Point, half_length: float, half_width: float, direction: Point) -> float:
    """See Footprint.reach."""
    along = abs(ahead[0] * direction[0] + ahead[1] * direction[1])
    across = abs(ahead[0] * direction[1] - ahead[1] * direction[0])
    return half_length * along + half_width * across


def time_to_collision(first: Footprint, second: Footprint) -> float:
    """Seconds until two footprints touch when both go straight on; 0 when they do; infinite when they never will.

    By separating axes: two rectangles touch while their shadows overlap on the axes of both.
    """
    apart = (second.centre[0] - first.centre[0], second.centre[1] - first.centre[1])
    closing = (second.velocity[0] - first.velocity[0], second.velocity[1] - first.velocity[1])
    begin, end = 0.0, math.inf
    for ahead in (first.ahead, second.ahead):
        for axis in (ahead, (-ahead[1], ahead[0])):
            reach = first.reach(axis) + second.reach(axis)
            distance, speed = apart[0] * axis[0] + apart[1] * axis[1], closing[0] * axis[0] + closing[1] * axis[1]
            if speed == 0.0:
                if abs(distance) > reach:
                    return math.inf
                continue
            enters, leaves = sorted(((-reach - distance) / speed, (reach - distance) / speed))
            begin, end = max(begin, enters), min(end, leaves)
    return begin if begin <= end else math.inf


def crossing(first: Point, second: Point) -> bool:
    """Whether two courses, given as unit vectors, cross rather than follow each other."""
    return first[0] * second[0] + first[1] * second[1] < math.cos(math.radians(CROSSING_DEGREES))


@dataclass(frozen=True, slots=True)
class Encroachment:
    """Somebody came to a place that somebody else had left.

    Attributes:
        first: the track that was there.
        second: the one that came.
        seconds: in between; 0: it was still there.
    """

    first: int
    second: int
    seconds: float


@dataclass(slots=True)
class _Visit:
    """Of a track: when it was seen last, for the cells where it is, or when it was there last."""

    track: int
    time: float
    ahead: Point


@dataclass(slots=True)
class _Visitor:
    """Where a track is.

    Attributes:
        centre: when it was seen last.
        cells: that it covers and nobody has come to since.
        visit: shared by these cells; those that it leaves get one of their own.
    """

    centre: Point
    cells: set[int]
    visit: _Visit


class VisitedGround:
    """Who was where last. Seconds and metres; a frame rate of 5 per second makes times exact to 0.2 s."""

    def __init__(self) -> None:
        self._visits: dict[int, _Visit] = {}
        self._visitors: dict[int, _Visitor] = {}
        self._swept = -math.inf

    def visit(self, track: int, footprint: Footprint, time: float) -> list[Encroachment]:
        """Put a road user on the ground; whose places it came to, one entry each, the shortest time.

        Args:
            track: its id.
            footprint: where it is now. The way from where it was last is taken as gone over.
            time: seconds.
        """
        self._sweep(time)
        visitor = self._visitors.get(track)
        if visitor is None:
            visitor = self._visitors[track] = _Visitor(footprint.centre, set(), _Visit(track, time, footprint.ahead))
        cells = _cells(footprint, visitor.centre)
        left = visitor.cells - cells
        self._visits.update(dict.fromkeys(left, _Visit(track, visitor.visit.time, visitor.visit.ahead)))
        visitor.visit.time, visitor.visit.ahead = time, footprint.ahead
        shortest: dict[int, float] = {}
        for cell in cells - visitor.cells:
            before = self._visits.get(cell)
            self._visits[cell] = visitor.visit
            if before is None or before.track == track:
                continue
            self._overtake(before.track, cell)
            if crossing(before.ahead, footprint.ahead):
                shortest[before.track] = min(shortest.get(before.track, math.inf), max(0.0, time - before.time))
        visitor.centre, visitor.cells = footprint.centre, cells
        return [Encroachment(first, track, seconds) for first, seconds in shortest.items()]

    def leave(self, track: int) -> None:
        """A track ended; where it was stays known for a while."""
        self._visitors.pop(track, None)

    def clear(self) -> None:
        """Forget everything."""
        self._visits.clear()
        self._visitors.clear()

    def _overtake(self, track: int, cell: int) -> None:
        """Somebody else has come to a cell of a track: if it stays there, it comes there anew."""
        visitor = self._visitors.get(track)
        if visitor is not None:
            visitor.cells.discard(cell)

    def _sweep(self, time: float) -> None:
        if 0.0 <= time - self._swept < _RECENT_SECONDS:
            return
        self._swept = time
        self._visits = {
            cell: visit for cell, visit in self._visits.items() if 0.0 <= time - visit.time < _RECENT_SECONDS
        }
        self._visitors = {
            track: visitor
            for track, visitor in self._visitors.items()
            if 0.0 <= time - visitor.visit.time < _RECENT_SECONDS
        }


def _cells(footprint: Footprint, before: Point) -> set[int]:
    """The numbers of the cells that a footprint covers, its way from an earlier centre included if that lies behind."""
    (ahead_east, ahead_north), centre = footprint.ahead, footprint.centre
    gone = (centre[0] - before[0]) * ahead_east + (centre[1] - before[1]) * ahead_north
    lengths = _steps(-footprint.half_length - max(0.0, gone), footprint.half_length)
    widths = _steps(-footprint.half_width, footprint.half_width)
    east, north = centre[0] / CELL_METRES, centre[1] / CELL_METRES
    return {
        math.floor(east + along * ahead_east - across * ahead_north) * _CELLS_IN_A_ROW
        + math.floor(north + along * ahead_north + across * ahead_east)
        for along in lengths
        for across in widths
    }


def _steps(low: float, high: float) -> list[float]:
    """Places from `low` to `high`, metres, no farther apart than a cell is wide; in cells."""
    count = max(1, math.ceil((high - low) / CELL_METRES))
    return [(low + (high - low) * index / count) / CELL_METRES for index in range(count + 1)]
