"""How objects move over the ground, measured as way over time and not as the tracker's velocity of the moment.

A box that trembles by a pixel or two has a velocity in every frame and goes nowhere. So a speed is the slope of the
straight line through an object's places on the ground over a stretch of time (least squares), and its error follows
from how much the foot of its box trembles, carried to the ground by the calibration, or from how far the places lie
from that line, whichever is larger.

One set of trails serves a whole scene: every rule asks it for the stretch of time that it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.domain.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point
    from detector.domain.scene import Scene

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

LONGEST_WINDOW_SECONDS: Final = 4.0
SPEED_WINDOW_SECONDS: Final = 1.0
"""Over how long the speeds of observations and counts are measured."""
FOOT_ERROR_HEIGHTS: Final = 0.05
"""One standard deviation of the foot of a box, in heights of the box: what the tracker expects of a detector."""
STEP_SECONDS: Final = 0.12
"""Places closer together in time say nothing new: errors of neighbouring frames are alike."""
COVERED_SHARE: Final = 0.6
"""A movement is known when the places reach over this much of the window."""
MAXIMUM_SPEED_ERROR: Final = 1.0
"""For statistics: a speed with a larger standard error, metres per second, was not measured. It is 7 % of 50 km/h."""
_FEWEST: Final = 3
_ROUNDING_SECONDS: Final = 1e-3
_LENGTH: Final = math.ceil(LONGEST_WINDOW_SECONDS / STEP_SECONDS) + 1


class Movement(NamedTuple):
    """How an object moved over the ground lately.

    Attributes:
        position: where it is by the fit, metres east and north.
        velocity: metres per second, east and north.
        speed: metres per second.
        speed_error: one standard error of the speed, metres per second.
        start_time: of the first place that went into it, seconds.
        end_time: of the last one, seconds.
    """

    position: Point
    velocity: Point
    speed: float
    speed_error: float
    start_time: float
    end_time: float

    @property
    def heading(self) -> float:
        """Degrees clockwise from north, from 0 to 360."""
        return math.degrees(math.atan2(self.velocity[0], self.velocity[1])) % 360.0

    def at(self, time: float) -> Point:
        """Where it was at a time by the fit; in the middle of the window braking does not bend that."""
        seconds = time - self.end_time
        return self.position[0] + self.velocity[0] * seconds, self.position[1] + self.velocity[1] * seconds


@dataclass(frozen=True, slots=True)
class Movements:
    """How many objects moved over the ground lately, one position each; see Movement for what the columns are.

    Attributes:
        known: n, whose movement is known; of the others the rest means nothing.
        position: n x 2.
        velocity: n x 2.
        speed: n.
        speed_error: n.
        start_time: n.
        end_time: of all.
    """

    known: Flags
    position: Floats
    velocity: Floats
    speed: Floats
    speed_error: Floats
    start_time: Floats
    end_time: float

    @classmethod
    def unknown(cls, number: int) -> Movements:
        """Of so many objects of which nothing is known."""
        nothing, nowhere = np.full(number, np.nan), np.full((number, 2), np.nan)
        return cls(np.zeros(number, dtype=np.bool_), nowhere, nowhere, nothing, nothing, nothing, math.nan)

    def of(self, index: int) -> Movement | None:
        """That of one object; None: not known."""
        if not self.known[index]:
            return None
        (east, north), (speed_east, speed_north) = self.position[index].tolist(), self.velocity[index].tolist()
        speed, error = float(self.speed[index]), float(self.speed_error[index])
        start = float(self.start_time[index])
        return Movement((east, north), (speed_east, speed_north), speed, error, start, self.end_time)

    def where(self, rows: Indices) -> Movements:
        """Those of the objects at these positions."""
        return Movements(
            self.known[rows],
            self.position[rows],
            self.velocity[rows],
            self.speed[rows],
            self.speed_error[rows],
            self.start_time[rows],
            self.end_time,
        )

    def at(self, time: float) -> Floats:
        """Where they were at a time by the fit, n x 2; see Movement.at."""
        return self.position + self.velocity * (time - self.end_time)


@dataclass(slots=True)
class _Places:
    """The latest places of every track: a row each, and a column for each of the latest moments.

    Attributes:
        times: of the columns, seconds; minus infinity: nothing was written there yet.
        seen: 1 where the track of the row was seen then, otherwise 0 and so are the others.
        east: metres from the row's origin, likewise.
        north: likewise.
        variance: of either coordinate, square metres, likewise.
        origins: the first place of each row: squares of map coordinates would lose the centimetres.
    """

    times: Floats = field(default_factory=lambda: np.full(_LENGTH, -math.inf))
    seen: Floats = field(default_factory=lambda: np.zeros((0, _LENGTH)))
    east: Floats = field(default_factory=lambda: np.zeros((0, _LENGTH)))
    north: Floats = field(default_factory=lambda: np.zeros((0, _LENGTH)))
    variance: Floats = field(default_factory=lambda: np.zeros((0, _LENGTH)))
    origins: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    column: int = 0

    def fit_rows(self, number: int) -> None:
        """Make room for so many rows."""
        more = number - len(self.seen)
        if more <= 0:
            return
        self.seen, self.east, self.north, self.variance, self.origins = (
            np.concatenate([values, np.zeros((more, values.shape[1]))])
            for values in (self.seen, self.east, self.north, self.variance, self.origins)
        )

    def forget(self, rows: Sequence[int]) -> None:
        """Empty these rows."""
        if rows:
            for values in (self.seen, self.east, self.north, self.variance):
                values[rows] = 0.0

    def write(self, time: float, rows: npt.NDArray[np.intp], ground: Floats, variance: Floats) -> None:
        """Add a moment in which the tracks of these rows were at `ground`, n x 2."""
        fresh = ~self.seen[rows].any(axis=1)
        self.column = (self.column + 1) % _LENGTH
        self.times[self.column] = time
        for values in (self.seen, self.east, self.north, self.variance):
            values[:, self.column] = 0.0
        self.origins[rows[fresh]] = ground[fresh]
        offsets = ground - self.origins[rows]
        self.seen[rows, self.column] = 1.0
        self.east[rows, self.column], self.north[rows, self.column] = offsets[:, 0], offsets[:, 1]
        self.variance[rows, self.column] = variance


def _fitted(places: _Places, window: float) -> Movements:
    """The straight line through the places of every row within a window."""
    now = float(places.times[places.column])
    columns = np.flatnonzero(now - places.times <= window + _ROUNDING_SECONDS)
    times = places.times[columns] - now
    seen = places.seen[:, columns]
    number, sum_times, sum_squares = (seen @ np.stack([np.ones_like(times), times, times**2], axis=1)).T
    counted = np.maximum(number, 1.0)
    mean_time = sum_times / counted
    spread = sum_squares - counted * mean_time**2
    divisor = np.where(spread > 0.0, spread, math.inf)
    scatter = np.zeros(len(seen))
    position, velocity = np.empty((len(seen), 2)), np.empty((len(seen), 2))
    powers = np.stack([np.ones_like(times), times], axis=1)
    for axis, values in enumerate((places.east[:, columns], places.north[:, columns])):
        total, product = (values @ powers).T
        slope = (product - mean_time * total) / divisor
        mean = total / counted
        scatter += np.einsum("nt,nt->n", values, values) - counted * mean**2 - spread * slope**2
        position[:, axis], velocity[:, axis] = places.origins[:, axis] + mean - mean_time * slope, slope
    expected = places.variance[:, columns].sum(axis=1) / counted
    # Two coordinates, each with two unknowns.
    variance = np.maximum(np.maximum(scatter, 0.0) / np.maximum(2 * number - 4, 1), expected)
    first = (seen * times).min(axis=1)
    known = (number >= _FEWEST) & (-first >= COVERED_SHARE * window) & (places.seen[:, places.column] > 0.0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    return Movements(known, position, velocity, speed, np.sqrt(variance / divisor), now + first, now)


class Trails:
    """Where the objects of one optic were on the ground lately.

    Args:
        calibration: of the optic.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._rows = Rows()
        self._places = _Places()
        self._movements: dict[float, Movements] = {}
        """By window, of every row; until the next moment is added."""

    def step(self, scene: Scene) -> None:
        """Take one analysed frame; what ended with it is forgotten. A clock that was set back begins anew."""
        last = float(self._places.times[self._places.column])
        if scene.time < last:
            self._rows, self._places, last = Rows(), _Places(), -math.inf
            self._movements.clear()
        if scene.time - last >= STEP_SECONDS - _ROUNDING_SECONDS:
            self._append(scene)
        dropped = self._rows.drop(scene.ended)
        self._places.forget(dropped)
        for movements in self._movements.values():
            movements.known[dropped] = False

    def movements(self, tracks: Sequence[int], window: float) -> Movements:
        """How objects moved lately; not known of those that were not seen for long enough, or not just now.

        Args:
            tracks: their ids.
            window: seconds, LONGEST_WINDOW_SECONDS at most.
        """
        rows = self._rows.find(tracks)
        if not len(self._places.seen) or not len(rows):
            return Movements.unknown(len(rows))
        fitted = self._movements.get(window)
        if fitted is None:
            fitted = self._movements[window] = _fitted(self._places, window)
        # Who never had a place has no row, or one that came after the fit.
        lost = (rows < 0) | (rows >= len(fitted.known))
        found = fitted.where(np.where(lost, 0, rows))
        found.known[lost] = False
        return found

    def movement(self, track: int, window: float) -> Movement | None:
        """That of one object; None: not known."""
        return self.movements([track], window).of(0)

    def _append(self, scene: Scene) -> None:
        self._movements.clear()
        ground, feet = scene.ground, scene.feet
        size = np.array([scene.width, scene.height], dtype=np.float64)
        # The error is that of both axes together; a direction of travel sees half of its variance.
        errors = self._calibration.error_at(feet / size, scene.heights[:, None] * FOOT_ERROR_HEIGHTS / size)
        measured = np.flatnonzero(np.isfinite(ground).all(axis=1) & np.isfinite(errors))
        rows = self._rows.take([scene.present[index].track for index in measured.tolist()])
        self._places.fit_rows(self._rows.size)
        self._places.write(scene.time, rows, ground[measured], errors[measured] ** 2 / 2.0)
