"""How fast a track goes over the ground at this moment, and how sure that is.

The tracker's filter knows the velocity of a box's foot in the picture and its variance; the derivative of the
calibration carries both to the ground. What the calibration itself is wrong by is not in the error: see its residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.tracking import Track

Floats = npt.NDArray[np.float64]

MODEL_ERROR: Final = 0.1
"""Of the speed: the filter takes a velocity in the picture for constant, and what comes nearer speeds up. Simulated
cars that approached at 3 to 5 m/s were measured that much too low.
"""
_STANDING: Final = 1e-9
"""Metres per second: slower than this has no direction."""


@dataclass(frozen=True, slots=True)
class GroundMotion:
    """Of n tracks; NaN for those whose foot is at the horizon or above it.

    Attributes:
        position: float64, n x 2, metres east and north of the calibration's origin.
        velocity: float64, n x 2, metres per second.
        speed: float64, n, metres per second.
        speed_error: float64, n, its standard error.
    """

    position: Floats
    velocity: Floats
    speed: Floats
    speed_error: Floats


def ground_motion(tracks: Sequence[Track], calibration: Calibration, width: int, height: int) -> GroundMotion:
    """Where tracks are on the ground and how they move there.

    Args:
        tracks: of one frame; boxes and velocities in its pixels.
        calibration: of the optic.
        width: of the frame, pixels.
        height: likewise.
    """
    size = np.array([width, height], dtype=np.float64)
    boxes = np.array([track.box for track in tracks], dtype=np.float64).reshape(-1, 4)
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1) / size
    in_picture = np.array([track.velocity for track in tracks], dtype=np.float64).reshape(-1, 2) / size
    errors = np.array([track.velocity_error for track in tracks], dtype=np.float64).reshape(-1, 2) / size
    derivative = calibration.jacobian(feet)
    velocity = (derivative @ in_picture[:, :, None])[:, :, 0]
    speed = np.linalg.norm(velocity, axis=1)
    return GroundMotion(calibration.to_ground(feet), velocity, speed, _speed_error(velocity, speed, derivative, errors))


def _speed_error(velocity: Floats, speed: Floats, derivative: Floats, errors: Floats) -> Floats:
    """Along the way it goes; in the worst direction when it is not known to go anywhere."""
    error = np.where(np.isfinite(speed), np.inf, np.nan)
    known = np.isfinite(speed) & np.isfinite(errors).all(axis=1)
    scaled = derivative[known] * errors[known][:, None, :]
    worst = np.linalg.norm(scaled, ord=2, axis=(1, 2))
    direction = velocity[known] / np.maximum(speed[known], _STANDING)[:, None]
    along = np.linalg.norm((direction[:, None, :] @ scaled)[:, 0, :], axis=1)
    error[known] = np.hypot(np.where(speed[known] > worst, along, worst), MODEL_ERROR * speed[known])
    return error
