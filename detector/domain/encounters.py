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

import numpy as np
import numpy.typing as npt

from detector.domain.detections import ObjectClass
from detector.domain.rows import TrackTable

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Cells = npt.NDArray[np.int64]
Records = npt.NDArray[np.intp]

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
_CROSSING_COSINE: Final = math.cos(math.radians(CROSSING_DEGREES))
_SWEEP_SECONDS: Final = 1.0
_CELLS_IN_A_ROW: Final = 2**32


@dataclass(frozen=True, slots=True)
class RoadUsers:
    """Rectangles on the ground, one position each.

    Attributes:
        tracks: n, their ids.
        motor: n, which are motor vehicles.
        centre: n x 2, metres east and north.
        ahead: n x 2, unit vectors along their lengths.
        half_length: n, metres.
        half_width: n, metres.
        velocity: n x 2, metres per second, east and north.
    """

    tracks: npt.NDArray[np.uint64]
    motor: Flags
    centre: Floats
    ahead: Floats
    half_length: Floats
    half_width: Floats
    velocity: Floats

    def __len__(self) -> int:
        return len(self.tracks)

    def where(self, chosen: Indices | Flags) -> RoadUsers:
        """Those at these positions."""
        return RoadUsers(
            self.tracks[chosen],
            self.motor[chosen],
            self.centre[chosen],
            self.ahead[chosen],
            self.half_length[chosen],
            self.half_width[chosen],
            self.velocity[chosen],
        )


def reaches(ahead: Floats, half_length: Floats, half_width: Floats, directions: Floats) -> Floats:
    """How far rectangles reach from their centres along unit vectors, metres.

    Args:
        ahead: unit vectors along their lengths, ... x 2.
        half_length: metres.
        half_width: metres.
        directions: ... x 2.
    """
    along = np.abs(ahead[..., 0] * directions[..., 0] + ahead[..., 1] * directions[..., 1])
    across = np.abs(ahead[..., 0] * directions[..., 1] - ahead[..., 1] * directions[..., 0])
    reach: Floats = half_length * along + half_width * across
    return reach


def times_to_collision(first: RoadUsers, second: RoadUsers) -> Floats:
    """Seconds until the road users of each pair touch when both go straight on, n; 0: they do; infinite: never.

    By separating axes: two rectangles touch while their shadows overlap on the axes of both.
    """
    axes = np.stack([axis for ahead in (first.ahead, second.ahead) for axis in (ahead, _aside(ahead))])
    reach = sum(reaches(each.ahead, each.half_length, each.half_width, axes) for each in (first, second))
    distance = ((second.centre - first.centre) * axes).sum(axis=2)
    speed = ((second.velocity - first.velocity) * axes).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        one, other = (-reach - distance) / speed, (reach - distance) / speed
    enters, leaves = np.minimum(one, other), np.maximum(one, other)
    # On an axis along which nothing moves shadows overlap for ever, or never.
    still = speed == 0.0
    apart = np.abs(distance) > reach
    enters[still] = np.where(apart, math.inf, -math.inf)[still]
    leaves[still] = np.where(apart, -math.inf, math.inf)[still]
    begin, end = np.maximum(enters.max(axis=0), 0.0), leaves.min(axis=0)
    return np.where(begin <= end, begin, math.inf)


def _aside(ahead: Floats) -> Floats:
    return np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)


def crossing(first: Floats, second: Floats) -> Flags:
    """Whether the two courses of each pair, unit vectors n x 2, cross rather than follow each other."""
    cross: Flags = first[:, 0] * second[:, 0] + first[:, 1] * second[:, 1] < _CROSSING_COSINE
    return cross


@dataclass(frozen=True, slots=True)
class Encroachment:
    """Somebody came to a place that somebody else had left, and one of them is a motor vehicle.

    Attributes:
        first: the track that was there.
        second: the one that came.
        seconds: in between; 0: it was still there.
    """

    first: int
    second: int
    seconds: float


class _Visits:
    """Who was where in which frame: a record for each road user of each frame, with a number that never comes back."""

    def __init__(self) -> None:
        self._first = 0
        self._tracks = np.zeros(0, dtype=np.uint64)
        self._times: Floats = np.zeros(0)
        self._ahead: Floats = np.zeros((0, 2))
        self._motor: Flags = np.zeros(0, dtype=np.bool_)

    def add(self, users: RoadUsers, time: float) -> Records:
        """Records of these; their numbers, n."""
        start = self._first + len(self._times)
        self._tracks = np.concatenate([self._tracks, users.tracks])
        self._times = np.concatenate([self._times, np.full(len(users), time)])
        self._ahead = np.concatenate([self._ahead, users.ahead])
        self._motor = np.concatenate([self._motor, users.motor])
        return np.arange(start, start + len(users))

    def times(self, records: Records) -> Floats:
        return self._times[records - self._first]

    def tracks(self, records: Records) -> npt.NDArray[np.uint64]:
        return self._tracks[records - self._first]

    def conflict(self, records: Records, others: Records) -> Flags:
        """Whether a motor vehicle is in each pair, and two courses that cross."""
        first, second = records - self._first, others - self._first
        return (self._motor[first] | self._motor[second]) & crossing(self._ahead[first], self._ahead[second])

    def forget(self, before: int) -> None:
        """Forget the records with smaller numbers."""
        gone = before - self._first
        self._first = before
        self._tracks, self._times = self._tracks[gone:], self._times[gone:]
        self._ahead, self._motor = self._ahead[gone:], self._motor[gone:]


class VisitedGround:
    """Who was where last. A frame rate of 5 per second makes times exact to 0.2 s.

    Args:
        memory: for how long a visit counts, seconds.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._centres = TrackTable(known=(), centre=(2,))
        self.clear()

    def visit(self, users: RoadUsers, time: float) -> list[Encroachment]:
        """Put all road users of a frame on the ground, one after the other; whose places they came to.

        Args:
            users: where they are now. The way from where each was last is taken as gone over.
            time: seconds.

        Returns:
            One entry for each pair, the shortest time, if the first was there within the memory.
        """
        self._sweep(time)
        if not len(users):
            return []
        cells, user = _cells(users, self._move(users))
        records = self._visits.add(users, time)[user]
        found = self._encroachments(self._before(cells, records), records, time)
        self._keep(cells, records)
        return found

    def leave(self, tracks: tuple[int, ...]) -> None:
        """Tracks ended; where they were stays known for a while."""
        self._centres.drop(tracks)

    def clear(self) -> None:
        """Forget everything."""
        self._centres.clear()
        self._visits = _Visits()
        self._cells: Cells = np.zeros(0, dtype=np.int64)
        """Every cell that was visited, in rising order."""
        self._last: Records = np.zeros(0, dtype=np.intp)
        """The record of its last visit."""
        self._swept = -math.inf

    def _move(self, users: RoadUsers) -> Floats:
        """Where each was last, or is when it is new, n x 2; remembers where it is now."""
        rows = self._centres.take(users.tracks.tolist())
        known, centres = self._centres["known"], self._centres["centre"]
        before = np.where(known[rows, None] > 0.0, centres[rows], users.centre)
        known[rows], centres[rows] = 1.0, users.centre
        return before

    def _before(self, cells: Cells, records: Records) -> Records:
        """The visit before each, in this frame or in an earlier one; itself where there was none."""
        again = _repeated(cells)
        before = records.copy()
        before[again] = records[np.flatnonzero(again) - 1]
        places, known = self._find(cells)
        known &= ~again
        before[known] = self._last[places[known]]
        return before

    def _find(self, cells: Cells) -> tuple[Indices, Flags]:
        """Where cells are, or would be, among those that were visited, and which are."""
        places = np.searchsorted(self._cells, cells)
        known = np.zeros(len(cells), dtype=np.bool_)
        if len(self._cells):
            known = self._cells[np.minimum(places, len(self._cells) - 1)] == cells
        return places, known

    def _encroachments(self, before: Records, records: Records, time: float) -> list[Encroachment]:
        visits = self._visits
        other = np.flatnonzero(visits.tracks(before) != visits.tracks(records))
        before, records = before[other], records[other]
        seconds = np.maximum(time - visits.times(before), 0.0)
        met = (seconds <= self._memory) & visits.conflict(before, records)
        pairs = zip(visits.tracks(before[met]).tolist(), visits.tracks(records[met]).tolist(), strict=True)
        shortest: dict[tuple[int, int], float] = {}
        for pair, each in zip(pairs, seconds[met].tolist(), strict=True):
            shortest[pair] = min(each, shortest.get(pair, math.inf))
        return [Encroachment(first, second, each) for (first, second), each in shortest.items()]

    def _keep(self, cells: Cells, records: Records) -> None:
        """Remember of every cell its last visit."""
        last = np.append(~_repeated(cells)[1:], True)
        cells, records = cells[last], records[last]
        places, known = self._find(cells)
        self._last[places[known]] = records[known]
        merged = np.concatenate([self._cells, cells[~known]])
        order = np.argsort(merged, kind="stable")
        self._cells, self._last = merged[order], np.concatenate([self._last, records[~known]])[order]

    def _sweep(self, time: float) -> None:
        """Forget what is too long ago, and what a clock that was set back has not seen yet."""
        if 0.0 <= time - self._swept < _SWEEP_SECONDS:
            return
        self._swept = time
        age = time - self._visits.times(self._last)
        recent = (age >= 0.0) & (age <= self._memory)
        self._cells, self._last = self._cells[recent], self._last[recent]
        if len(self._last):
            self._visits.forget(int(self._last.min()))


def _repeated(cells: Cells) -> Flags:
    """Which of some cells, in rising order, are the same as the one before."""
    repeated = np.zeros(len(cells), dtype=np.bool_)
    repeated[1:] = cells[1:] == cells[:-1]
    return repeated


def _cells(users: RoadUsers, before: Floats) -> tuple[Cells, Indices]:
    """The cells that each covers, its way from an earlier centre included if that lies behind.

    Returns:
        Numbers of cells in rising order, and to each who covers it: positions in `users`, rising within a cell.
    """
    gone = ((users.centre - before) * users.ahead).sum(axis=1)
    low, high = -users.half_length - np.maximum(gone, 0.0), users.half_length
    lengths, widths = _steps(high - low), _steps(2 * users.half_width)
    number = (lengths + 1) * (widths + 1)
    user = np.repeat(np.arange(len(users)), number)
    place = np.arange(len(user)) - np.repeat(np.cumsum(number) - number, number)
    along, across = np.divmod(place, widths[user] + 1)
    forward = (low[user] + along * ((high - low) / lengths)[user]) / CELL_METRES
    aside = (across * (2 * users.half_width / widths)[user] - users.half_width[user]) / CELL_METRES
    (east, north), (ahead_east, ahead_north) = users.centre.T / CELL_METRES, users.ahead.T
    cells_east = np.floor(east[user] + forward * ahead_east[user] - aside * ahead_north[user])
    cells_north = np.floor(north[user] + forward * ahead_north[user] + aside * ahead_east[user])
    cells = cells_east.astype(np.int64) * _CELLS_IN_A_ROW + cells_north.astype(np.int64)
    order = np.argsort(cells, kind="stable")
    cells, user = cells[order], user[order]
    once = ~_repeated(cells)
    once[1:] |= user[1:] != user[:-1]
    return cells[once], user[once]


def _steps(metres: Floats) -> Indices:
    """How many steps of no more than a cell lead over so many metres, n."""
    return np.maximum(1, np.ceil(metres / CELL_METRES)).astype(np.intp)
