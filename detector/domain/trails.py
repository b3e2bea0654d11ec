"""Speeds over the ground, measured as way over time and not as the tracker's velocity of the moment.

A box that trembles by a pixel or two has a velocity in every frame and goes nowhere. So a speed is the slope of the
straight line through an object's places on the ground over a stretch of time (least squares), and its error follows
from how much the foot of its box trembles, carried to the ground by the calibration, or from how far the places lie
from that line, whichever is larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point
    from detector.domain.scene import Presence, Scene

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

FOOT_ERROR_HEIGHTS: Final = 0.05
"""One standard deviation of the foot of a box, in heights of the box: what the tracker expects of a detector."""
STEP_SECONDS: Final = 0.12
"""Places closer together in time say nothing new: errors of neighbouring frames are alike."""
COVERED_SHARE: Final = 0.6
"""A movement is known when the places reach over this much of the window."""
MAXIMUM_SPEED_ERROR: Final = 1.0
"""For statistics: a speed with a larger standard error, metres per second, was not measured. It is 7 % of 50 km/h."""
_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class Movement:
    """How an object moved over the ground lately.

    Attributes:
        position: where it is by the fit, metres east and north.
        velocity: metres per second, east and north.
        speed_error: one standard error of the speed, metres per second.
        start_time: of the first place that went into it, seconds.
        end_time: of the last one, seconds.
    """

    position: Point
    velocity: Point
    speed_error: float
    start_time: float
    end_time: float

    @property
    def speed(self) -> float:
        """Metres per second."""
        return math.hypot(*self.velocity)

    @property
    def heading(self) -> float:
        """Degrees clockwise from north, from 0 to 360."""
        return math.degrees(math.atan2(self.velocity[0], self.velocity[1])) % 360.0

    def at(self, time: float) -> Point:
        """Where it was at a time by the fit; in the middle of the window braking does not bend that."""
        seconds = time - self.end_time
        return self.position[0] + self.velocity[0] * seconds, self.position[1] + self.velocity[1] * seconds


class _Places:
    """The latest places of every track, in rows of a ring, so that all are fitted at once.

    Attributes:
        time: seconds, rows x length; minus infinity: no place there.
        east: metres, likewise.
        north: likewise.
        variance: of either coordinate, square metres, likewise.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._rows: dict[int, int] = {}
        self._free: list[int] = []
        self._next = np.zeros(0, dtype=np.intp)
        self.time, self.east, self.north, self.variance = (np.empty((0, length)) for _ in range(4))

    def row(self, track: int) -> int | None:
        """Where a track's places are."""
        return self._rows.get(track)

    def take(self, track: int) -> int:
        """Where a track's places are, or from now on will be."""
        known = self._rows.get(track)
        if known is not None:
            return known
        if not self._free:
            self._grow()
        self._rows[track] = row = self._free.pop()
        return row

    def drop(self, track: int) -> None:
        """A track is over."""
        row = self._rows.pop(track, None)
        if row is not None:
            self.time[row] = -math.inf
            self._free.append(row)

    def latest(self, rows: Rows) -> Floats:
        """When these tracks were last seen, seconds."""
        found: Floats = self.time[rows].max(axis=1)
        return found

    def put(self, rows: Rows, time: float, ground: Floats, variance: Floats) -> None:
        """Add one place to each of these rows; `ground` is n x 2, metres east and north."""
        columns = self._next[rows]
        self.time[rows, columns] = time
        self.east[rows, columns], self.north[rows, columns] = ground[:, 0], ground[:, 1]
        self.variance[rows, columns] = variance
        self._next[rows] = (columns + 1) % self._length

    def _grow(self) -> None:
        before, more = len(self.time), max(8, len(self.time))
        self.time = np.concatenate([self.time, np.full((more, self._length), -math.inf)])
        self.east, self.north, self.variance = (
            np.concatenate([values, np.zeros((more, self._length))])
            for values in (self.east, self.north, self.variance)
        )
        self._next = np.concatenate([self._next, np.zeros(more, dtype=np.intp)])
        self._free += range(before + more - 1, before - 1, -1)


class Trails:
    """Where the objects of one optic were on the ground lately.

    Args:
        calibration: of the optic.
        window: over how long a movement is measured, seconds.
    """

    def __init__(self, calibration: Calibration, window: float) -> None:
        self._calibration = calibration
        self._window = window
        self._places = _Places(math.ceil(window / STEP_SECONDS) + 1)
        self._movements: dict[int, Movement] = {}

    def step(self, scene: Scene, followed: Sequence[Presence]) -> None:
        """Take one analysed frame.

        Args:
            scene: the frame; what ended with it is forgotten.
            followed: those of its objects whose movements are asked for.
        """
        on_ground = [(item, item.ground.position) for item in followed if item.ground is not None]
        if on_ground:
            self._append(on_ground, scene)
        for track in scene.ended:
            self._places.drop(track)
            self._movements.pop(track, None)

    def movement(self, track: int) -> Movement | None:
        """How an object moved over the last window; None: not seen for long enough."""
        return self._movements.get(track)

    def clear(self) -> None:
        """Forget everything."""
        self._places = _Places(math.ceil(self._window / STEP_SECONDS) + 1)
        self._movements.clear()

    def _append(self, on_ground: Sequence[tuple[Presence, Point]], scene: Scene) -> None:
        all_rows = np.array([self._places.take(item.track) for item, _ in on_ground], dtype=np.intp)
        passed = scene.time - self._places.latest(all_rows)
        # A clock that was set back begins a new trail.
        self._places.time[all_rows[passed < 0.0]] = -math.inf
        due = np.flatnonzero((passed < 0.0) | (passed >= STEP_SECONDS))
        if not len(due):
            return
        chosen = [on_ground[index] for index in due.tolist()]
        variance = self._variance([item for item, _ in chosen], scene)
        seen = np.isfinite(variance)
        ground = np.array([position for _, position in chosen], dtype=np.float64)
        rows = all_rows[due[seen]]
        self._places.put(rows, scene.time, ground[seen], variance[seen])
        tracks = [item.track for (item, _), finite in zip(chosen, seen, strict=True) if finite]
        self._fit(tracks, rows, scene.time)

    def _variance(self, followed: Sequence[Presence], scene: Scene) -> Floats:
        """Of each one's place on the ground along either axis, square metres."""
        size = np.array([scene.width, scene.height], dtype=np.float64)
        feet = np.array([item.foot for item in followed], dtype=np.float64) / size
        trembling = np.array([[item.height] for item in followed], dtype=np.float64) * FOOT_ERROR_HEIGHTS / size
        # The error is that of both axes together; a direction of travel sees half of its variance.
        return self._calibration.error_at(feet, trembling) ** 2 / 2.0

    def _fit(self, tracks: Sequence[int], rows: Rows, now: float) -> None:
        """The straight line through the places of each of these tracks within the window."""
        time, inside, number = self._recent(rows, now)
        # Relative to the last place: squares of map coordinates would lose the centimetres.
        last = np.argmax(self._places.time[rows], axis=1)[:, None]
        at_time, from_time = _centred(time, inside, number)
        spread = (from_time**2).sum(axis=1)
        lines = []
        scatter = np.zeros(len(rows))
        for values in (self._places.east[rows], self._places.north[rows]):
            origin = np.take_along_axis(values, last, axis=1)
            mean, offsets = _centred(np.where(inside, values - origin, 0.0), inside, number)
            slope = (from_time * offsets).sum(axis=1) / np.where(spread > 0.0, spread, 1.0)
            scatter += (offsets**2).sum(axis=1) - spread * slope**2
            lines.append((origin[:, 0] + mean - at_time * slope, slope))
        expected = np.where(inside, self._places.variance[rows], 0.0).sum(axis=1) / number
        # Two coordinates, each with two unknowns.
        variance = np.maximum(np.maximum(scatter, 0.0) / np.maximum(2 * number - 4, 1), expected)
        error = np.sqrt(variance / np.where(spread > 0.0, spread, math.inf))
        first = time.min(axis=1)
        known = (number >= _FEWEST) & (-first >= COVERED_SHARE * self._window)
        columns = (*lines[0], *lines[1], error, now + first, known)
        for track, (east, speed_east, north, speed_north, deviation, start, is_known) in zip(
            tracks, zip(*(column.tolist() for column in columns), strict=True), strict=True
        ):
            if is_known:
                self._movements[track] = Movement((east, north), (speed_east, speed_north), deviation, start, now)
            else:
                self._movements.pop(track, None)

    def _recent(self, rows: Rows, now: float) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
        """Times of the places within the window, relative to now and 0 outside it; which they are; how many."""
        time = self._places.time[rows] - now
        inside = time >= -self._window
        return np.where(inside, time, 0.0), inside, inside.sum(axis=1).astype(np.float64)


def _centred(values: Floats, inside: npt.NDArray[np.bool_], number: Floats) -> tuple[Floats, Floats]:
    """Means by row, and what is left of each value; 0 for what is not inside."""
    means = values.sum(axis=1) / number
    return means, np.where(inside, values - means[:, None], 0.0)
