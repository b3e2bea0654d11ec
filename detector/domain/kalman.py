"""A constant-velocity Kalman filter over many boxes at once.

Each of the four numbers of a box (centre x, centre y, width, height) is a chain of its own with a position and a
velocity, so that a bank of filters is a handful of arrays and one step costs the same for one box as for a hundred.
Noise is proportional to the size of the box: an object nearer to the camera moves and wobbles by more pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from detector.domain.detections import Boxes

Floats = npt.NDArray[np.float64]

VELOCITY_DECAY_SECONDS: Final = 8.0
"""An object that is not seen is expected to slow down, with this time constant, not to run on for ever."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How much objects move and detectors wobble, as multiples of the box height (of a person: its stature).

    Attributes:
        acceleration: of the centre, per square root of a second cubed (white-noise acceleration model).
        growth: the same for width and height.
        position: standard deviation of a measured centre.
        size: standard deviation of a measured width or height.
        initial_speed: standard deviation of the velocity of a box seen for the first time, per second.
    """

    acceleration: float = 0.6
    growth: float = 0.05
    position: float = 0.035
    size: float = 0.14
    initial_speed: float = 0.7


class BoxFilters:
    """A bank of filters, one row per box.

    Attributes:
        position: float64, N x 4: centre x, centre y, width, height, in pixels.
        velocity: float64, N x 4: the same per second.
    """

    def __init__(self, noise: Noise | None = None) -> None:
        self._noise = noise or Noise()
        self.position: Floats = np.empty((0, 4))
        self.velocity: Floats = np.empty((0, 4))
        self._variance: Floats = np.empty((0, 4))
        self._covariance: Floats = np.empty((0, 4))
        self._velocity_variance: Floats = np.empty((0, 4))

    def __len__(self) -> int:
        return len(self.position)

    def boxes(self) -> Boxes:
        """Where the boxes are believed to be; float32, N x 4, left, top, right, bottom."""
        half = np.maximum(self.position[:, 2:], 1.0) / 2
        centre = self.position[:, :2]
        return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)

    def append(self, boxes: Boxes) -> None:
        """Start a filter for each of these boxes, standing still."""
        measured = _centred(boxes)
        noise = self._scale(measured)
        moving = np.concatenate([noise[:, :2], noise[:, :2] * 0.3], axis=1) * self._noise.initial_speed
        self.position = np.concatenate([self.position, measured])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(measured)])
        self._variance = np.concatenate([self._variance, self._measurement_variance(measured)])
        self._covariance = np.concatenate([self._covariance, np.zeros_like(measured)])
        self._velocity_variance = np.concatenate([self._velocity_variance, moving**2])

    def halt(self, rows: npt.NDArray[np.intp]) -> None:
        """Believe that these stand still."""
        self.velocity[rows] = 0.0

    def foot_velocity(self) -> Floats:
        """How the middle of each box's lower side moves; float64, N x 2, pixels per second."""
        velocity = self.velocity[:, :2].copy()
        # The lower side is half a height below the centre.
        velocity[:, 1] += self.velocity[:, 3] / 2
        return velocity

    def deviation(self, rows: npt.NDArray[np.intp] | slice) -> Floats:
        """Standard error of the centres of these boxes, along x and y; float64, len(rows) x 2, pixels."""
        return np.sqrt(self._variance[rows, :2])

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Forget the other filters."""
        self.position, self.velocity = self.position[rows], self.velocity[rows]
        self._variance, self._covariance = self._variance[rows], self._covariance[rows]
        self._velocity_variance = self._velocity_variance[rows]

    def predict(self, seconds: float) -> None:
        """Let time pass for every box (Bar-Shalom, Li, Kirubarajan: Estimation with Applications, section 6.2.2)."""
        if seconds <= 0.0 or not len(self):
            return
        scale = self._scale(self.position)
        density = (
            np.concatenate([scale[:, :2] * self._noise.acceleration, scale[:, 2:] * self._noise.growth], axis=1) ** 2
        )
        decay = np.exp(-seconds / VELOCITY_DECAY_SECONDS)
        reach = VELOCITY_DECAY_SECONDS * (1.0 - decay)
        self.position = self.position + self.velocity * reach
        self._variance = (
            self._variance
            + 2.0 * reach * self._covariance
            + reach**2 * self._velocity_variance
            + density * seconds**3 / 3.0
        )
        self._covariance = (self._covariance + reach * self._velocity_variance) * decay + density * seconds**2 / 2.0
        self._velocity_variance = self._velocity_variance * decay**2 + density * seconds
        self.velocity = self.velocity * decay

    def update(self, rows: npt.NDArray[np.intp], boxes: Boxes, scores: npt.NDArray[np.float32]) -> None:
        """Correct some filters by what was measured.

        Args:
            rows: which filters, each at most once.
            boxes: float32, len(rows) x 4, where the detector saw them.
            scores: float32, len(rows); a low score counts as a noisy measurement.
        """
        measured = _centred(boxes)
        doubt = (1.0 + 3.0 * (1.0 - scores.astype(np.float64)) ** 2)[:, None]
        variance, covariance = self._variance[rows], self._covariance[rows]
        total = variance + self._measurement_variance(measured) * doubt
        gain, velocity_gain = variance / total, covariance / total
        residual = measured - self.position[rows]
        self.position[rows] += gain * residual
        self.velocity[rows] += velocity_gain * residual
        self._velocity_variance[rows] -= velocity_gain * covariance
        self._covariance[rows] = (1.0 - gain) * covariance
        self._variance[rows] = (1.0 - gain) * variance

    def _scale(self, position: Floats) -> Floats:
        return np.repeat(np.maximum(position[:, 3:4], 1.0), 4, axis=1)

    def _measurement_variance(self, measured: Floats) -> Floats:
        scale = self._scale(measured)
        return np.concatenate([scale[:, :2] * self._noise.position, scale[:, 2:] * self._noise.size], axis=1) ** 2


def _centred(boxes: Boxes) -> Floats:
    corners = boxes.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + size / 2, size], axis=1)
