"""Pinhole cameras over a flat ground, for tests that need a view with a known truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ASPECT = 16 / 9
SPREAD = np.array(
    [[0.1, 0.95], [0.9, 0.95], [0.8, 0.55], [0.2, 0.5], [0.5, 0.7], [0.35, 0.8], [0.65, 0.6], [0.5, 0.52]]
)
"""Places in the picture that every `view` below sees on the ground."""


def view(height: float = 8.0, pitch: float = 25.0, field_of_view: float = 60.0, yaw: float = 0.0) -> Floats:
    """The homography from metres (east, north) to normalised picture points.

    Args:
        height: of the camera above the ground, metres.
        pitch: below the horizontal, degrees.
        field_of_view: horizontal, degrees.
        yaw: from north to east, degrees.
    """
    down, turn = np.radians(pitch), np.radians(yaw)
    forward = np.array([np.sin(turn) * np.cos(down), np.cos(turn) * np.cos(down), -np.sin(down)])
    right = np.array([np.cos(turn), -np.sin(turn), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 0.5 / np.tan(np.radians(field_of_view) / 2)
    lens = np.array([[focal, 0.0, 0.5], [0.0, focal * ASPECT, 0.5], [0.0, 0.0, 1.0]])
    homography: Floats = lens @ np.stack([rotation[:, 0], rotation[:, 1], -rotation @ [0.0, 0.0, height]], axis=1)
    return homography


def project(homography: Floats, points: Floats) -> Floats:
    """Points through a homography, n x 2."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T
    projected: Floats = homogeneous[:, :2] / homogeneous[:, 2:]
    return projected


def ground_of(homography: Floats, points: Floats) -> Floats:
    """Where picture points lie on the ground, n x 2 metres."""
    return project(np.linalg.inv(homography).astype(np.float64), points)
