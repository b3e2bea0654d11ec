"""What many movements on the ground have in common: one direction, or away from each other.

Nothing here asks who moves: an object that changes its track from one frame to the next leaves the field as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_UNKNOWNS: Final = 3
"""Of a field that moves as a whole and expands: two and one."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """How a set of movements spreads.

    Attributes:
        divergence: per second; positive: they move apart.
        error: one standard error of it.
        alignment: length of the mean of their directions, from 0 (all ways alike) to 1 (all the same way).
    """

    divergence: float
    error: float
    alignment: float


def expansion(positions: Floats, velocities: Floats) -> Expansion | None:
    """How movements spread: the velocities as those of one that expands evenly in all directions while it moves on.

    v(x) = v0 + e (x - c) by least squares, with c the mean position; the divergence of that field is 2 e. A general
    linear field has two more unknowns for shear and rotation, which five runners cannot determine.

    Args:
        positions: n x 2, metres east and north.
        velocities: n x 2, metres per second.

    Returns:
        None for fewer than three movements, and when all are in one place or somebody stands still.
    """
    number = len(positions)
    from_centre = positions - positions.mean(axis=0) if number else positions
    reach = float((from_centre**2).sum())
    speeds = np.linalg.norm(velocities, axis=1)
    if number < _UNKNOWNS or reach <= 0.0 or not speeds.all():
        return None
    from_mean = velocities - velocities.mean(axis=0)
    rate = float((from_centre * from_mean).sum()) / reach
    left = float(((from_mean - rate * from_centre) ** 2).sum())
    error = math.sqrt(left / (2 * number - _UNKNOWNS) / reach)
    alignment = float(np.linalg.norm((velocities / speeds[:, None]).mean(axis=0)))
    return Expansion(2.0 * rate, 2.0 * error, alignment)


class MainCourse:
    """The direction in which most walk, learned over a while; what was long ago fades.

    Args:
        memory: time constant of the fading, seconds.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._east = self._north = self._seconds = 0.0

    def step(self, passed: float, velocities: Floats) -> None:
        """Let time pass, in which some moved.

        Args:
            passed: seconds.
            velocities: of those who moved, n x 2, east and north; none is zero.
        """
        fading = math.exp(-passed / self._memory)
        east, north = (velocities / np.hypot(velocities[:, 0], velocities[:, 1])[:, None]).sum(axis=0).tolist()
        self._east = self._east * fading + passed * east
        self._north = self._north * fading + passed * north
        self._seconds = self._seconds * fading + passed * len(velocities)

    @property
    def person_seconds(self) -> float:
        """How much was learned from."""
        return self._seconds

    @property
    def alignment(self) -> float:
        """See Expansion; 0 when nothing was learned."""
        return math.hypot(self._east, self._north) / self._seconds if self._seconds else 0.0

    def angles_to(self, velocities: Floats) -> Floats:
        """Degrees between velocities, n x 2, and the main course; n, 0 to 180."""
        dot = velocities[:, 0] * self._east + velocities[:, 1] * self._north
        cross = velocities[:, 0] * self._north - velocities[:, 1] * self._east
        angles: Floats = np.degrees(np.abs(np.arctan2(cross, dot)))
        return angles

    def clear(self) -> None:
        """Forget it."""
        self._east = self._north = self._seconds = 0.0
