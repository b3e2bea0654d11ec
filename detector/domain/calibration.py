"""From the picture to the ground: a homography fitted to places that are known in both.

The ground is taken for a plane, and the lens for free of distortion; what that costs shows in the residual. Image
points are normalised (0..1 of the picture's width and height, origin top left, y downwards), ground points are metres
east and north of the calibration's origin. All arrays are float64.

Fitted by the normalised direct linear transformation (Hartley, Zisserman: Multiple View Geometry, algorithm 4.2), then
by least squares of the distances in the picture: that is where pairs are clicked by hand, while maps are good. OpenCV's
findHomography does the same in 32-bit floats, in which map coordinates are rounded to half a metre, and returns a
matrix for degenerate pairs too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = npt.NDArray[np.float64]

MINIMUM_PAIRS: Final = 4
"""A homography has eight unknowns, and each pair gives two equations."""
_UNKNOWNS: Final = 8
_DEGENERATE: Final = 3e-3
"""Share of the largest singular value below which the eighth (of the equations) or the last (of the homography between
normalised points) counts as nothing: four pairs of which three lie within about a hundredth of their spread of a line.
"""
_SAME_PLACE: Final = 1e-6
"""Of the spread of all points: closer ones are one place."""
_LEVERAGE: Final = 1.0 - 1e-6
"""A pair with more than this of a say in its own fit cannot be checked by the others."""


class CalibrationError(ValueError):
    """The pairs do not make a calibration; says why, in the words of whoever entered them.

    Attributes:
        pairs: positions of the pairs that are to blame, from 0; empty when it is all of them.
    """

    def __init__(self, message: str, pairs: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.pairs = pairs


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Where the points of a picture lie on the ground.

    Attributes:
        homography: 3 x 3, takes a homogeneous image point to the ground; positive third coordinate below the horizon.
        residual_picture: standard deviation of the pairs from the fit along x and y of the picture, in shares of its
            width and height, corrected for the unknowns that the fit took; None with four pairs, which fit always.
        residual_metres: what that is on the ground, root mean square over the pairs.
        left_out_metres: n, how far on the ground each pair lies from where all the others put it (leave-one-out): of a
            pair that was entered wrongly the largest; NaN for a pair that the others cannot check.
    """

    homography: Floats
    residual_picture: tuple[float, float] | None
    residual_metres: float | None
    left_out_metres: Floats

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and np.array_equal(self.homography, other.homography)

    def __hash__(self) -> int:
        return hash(self.homography.tobytes())

    @classmethod
    def fit(cls, image_points: Floats, ground_points: Floats) -> Calibration:
        """The calibration that fits the pairs best.

        Args:
            image_points: n x 2, normalised.
            ground_points: n x 2, metres east and north, in the same order.

        Raises:
            CalibrationError: too few pairs, not numbers, doubled or too much in one line, on both sides of the horizon,
                or mirrored.
        """
        image, ground = _checked(image_points, ground_points)
        to_unit_image, to_unit_ground = _normalisation(image), _normalisation(ground)
        unit_image, unit_ground = _project(to_unit_image, image), _project(to_unit_ground, ground)
        first = _direct(unit_ground, unit_image)
        _check_sides(first, unit_ground)
        to_picture, steepness = _refined(first, unit_ground, unit_image)
        _check_sides(to_picture, unit_ground)
        homography = _inverse(to_unit_ground) @ _inverse(to_picture) @ to_unit_image
        _check_sides(homography, image)
        homography = homography * np.sign(_depths(homography, image)[0]) / np.linalg.norm(homography)
        _check_handedness(homography, image)
        misses = _project(to_picture, unit_ground) - unit_image
        left_out = _left_out(misses, steepness) / to_unit_image[0, 0]
        left_out_metres = np.linalg.norm((_jacobian(homography, image) @ left_out[:, :, None])[:, :, 0], axis=1)
        in_picture, in_metres = _residuals(homography, image, misses / to_unit_image[0, 0])
        return cls(homography, in_picture, in_metres, left_out_metres)

    def to_ground(self, points: Floats) -> Floats:
        """Metres east and north, n x 2, of normalised image points, n x 2; NaN at and above the horizon."""
        return _project(self.homography, points)

    def to_image(self, points: Floats) -> Floats:
        """Normalised image points, n x 2, of ground points, n x 2; NaN for what lies behind the camera."""
        # The third coordinate of the inverse is one over that of the homography: positive in front of the camera.
        return _project(_inverse(self.homography), points)

    def jacobian(self, points: Floats) -> Floats:
        """Metres on the ground (east, north) per share of the picture (x, y); n x 2 x 2, NaN above the horizon.

        Args:
            points: n x 2, normalised.
        """
        return _jacobian(self.homography, points)

    def error_at(self, points: Floats, foot_error: Floats) -> Floats:
        """What an error in the picture becomes on the ground: standard deviation in metres, n; NaN above the horizon.

        The error that the calibration has itself is not in it; see `residual_metres`.

        Args:
            points: n x 2, normalised.
            foot_error: 2, or n x 2: standard deviations along x and y, in shares of the picture's width and height.
        """
        scaled = self.jacobian(points) * np.broadcast_to(foot_error, points.shape)[:, None, :]
        deviation: Floats = np.sqrt((scaled**2).sum(axis=(1, 2)))
        return deviation

    def pixels_per_metre(self, points: Floats, width: int, height: int) -> Floats:
        """How many pixels a metre across the line of sight takes there, n; NaN above the horizon.

        Across means parallel to the picture: perspective shortens every other direction on the ground. So it is also
        the measure of an upright target at that distance, as IEC 62676-4 wants it. Pixels are taken for square.

        Args:
            points: n x 2, normalised.
            width: of the picture, pixels.
            height: of the picture, pixels.
        """
        to_picture = _inverse(self.homography)
        steepest = to_picture[2, :2]
        length = np.linalg.norm(steepest)
        # Straight from above every direction is as good.
        across = np.array([-steepest[1], steepest[0]]) / length if length > 0.0 else np.array([1.0, 0.0])
        pixels = np.linalg.norm(to_picture[:2, :2] @ across * [width, height])
        depths = _depths(to_picture, self.to_ground(points))
        density: Floats = pixels / depths
        return density

    def residual_pixels(self, width: int, height: int) -> float | None:
        """`residual_picture` as a distance in pixels of a picture of this size."""
        if self.residual_picture is None:
            return None
        return float(np.hypot(self.residual_picture[0] * width, self.residual_picture[1] * height))


def _checked(image_points: Floats, ground_points: Floats) -> tuple[Floats, Floats]:
    image, ground = np.asarray(image_points, dtype=np.float64), np.asarray(ground_points, dtype=np.float64)
    if image.shape != (len(image), 2) or image.shape != ground.shape:
        raise ValueError(f"image points {image.shape}, ground points {ground.shape}")
    if len(image) < MINIMUM_PAIRS:
        raise CalibrationError(f"a calibration takes at least {MINIMUM_PAIRS} pairs of points, not {len(image)}")
    bad = np.flatnonzero(~np.isfinite(np.concatenate([image, ground], axis=1)).all(axis=1))
    if len(bad):
        raise CalibrationError("coordinates must be finite numbers", tuple(bad.tolist()))
    _check_distinct(image, "in the picture")
    _check_distinct(ground, "on the ground")
    return image, ground


def _check_distinct(points: Floats, where: str) -> None:
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    first, second = np.nonzero(np.triu(distance <= _SAME_PLACE * distance.max(), 1))
    if len(first):
        pair = (int(first[0]), int(second[0]))
        raise CalibrationError(f"pairs {pair[0]} and {pair[1]}, counted from 0, are the same place {where}", pair)


def _normalisation(points: Floats) -> Floats:
    """3 x 3: moves the centroid to the origin and the mean distance from it to the square root of two."""
    centre = points.mean(axis=0)
    scale = np.sqrt(2.0) / np.linalg.norm(points - centre, axis=1).mean()
    return np.array([[scale, 0.0, -scale * centre[0]], [0.0, scale, -scale * centre[1]], [0.0, 0.0, 1.0]])


def _direct(source: Floats, target: Floats) -> Floats:
    """The homography between normalised points by the direct linear transformation."""
    ones, nothing = np.ones((len(source), 1)), np.zeros((len(source), 3))
    homogeneous = np.concatenate([source, ones], axis=1)
    equations = np.concatenate(
        [
            np.concatenate([homogeneous, nothing, -target[:, :1] * homogeneous], axis=1),
            np.concatenate([nothing, homogeneous, -target[:, 1:] * homogeneous], axis=1),
        ]
    )
    _, strengths, directions = np.linalg.svd(equations)
    found: Floats = directions[-1].reshape(3, 3)
    spread = np.linalg.svd(found, compute_uv=False)
    if strengths[_UNKNOWNS - 1] < _DEGENERATE * strengths[0] or spread[2] < _DEGENERATE * spread[0]:
        raise CalibrationError("too many of the pairs lie on one line: four are needed of which no three do")
    return found


def _check_sides(matrix: Floats, points: Floats) -> None:
    depths = _depths(matrix, points)
    behind = depths * np.sign(np.median(depths)) <= 0.0
    if behind.any():
        blamed = tuple(np.flatnonzero(behind).tolist())
        raise CalibrationError("the pairs lie on both sides of the horizon: one is on the wrong place", blamed)


def _check_handedness(homography: Floats, image: Floats) -> None:
    # Seen from above with x to the right and y downwards, a turn from east to north is a turn to the left.
    if np.linalg.det(_jacobian(homography, image)[0]) > 0.0:
        raise CalibrationError(
            "the ground is mirrored: pairs are mixed up, or the ground's axes are not (east, north) in metres"
        )


def _refined(first: Floats, ground: Floats, image: Floats) -> tuple[Floats, Floats]:
    """Least squares of the distances in the picture; the homography, and their derivatives, 2n x 8."""
    # The origin is the centroid of the pairs, which all lie before the camera: its depth is not zero.
    start = (first / first[2, 2]).ravel()[:_UNKNOWNS]

    def misses(unknowns: Floats) -> Floats:
        return (_divided(_completed(unknowns), ground) - image).ravel()

    solution = least_squares(misses, start, method="lm", jac=_derivatives(ground))
    return _completed(solution.x), np.asarray(solution.jac, dtype=np.float64)


def _derivatives(ground: Floats) -> Callable[[Floats], Floats]:
    homogeneous = np.concatenate([ground, np.ones((len(ground), 1))], axis=1)

    def derivatives(unknowns: Floats) -> Floats:
        matrix = _completed(unknowns)
        depth = homogeneous @ matrix[2]
        picture = _divided(matrix, ground)
        found = np.zeros((len(ground), 2, _UNKNOWNS))
        found[:, 0, 0:3] = found[:, 1, 3:6] = homogeneous / depth[:, None]
        found[:, :, 6:8] = -picture[:, :, None] * ground[:, None, :] / depth[:, None, None]
        return found.reshape(-1, _UNKNOWNS)

    return derivatives


def _inverse(matrix: Floats) -> Floats:
    inverse: Floats = np.linalg.inv(matrix).astype(np.float64)
    return inverse


def _completed(unknowns: Floats) -> Floats:
    return np.append(unknowns, 1.0).reshape(3, 3)


def _left_out(misses: Floats, derivatives: Floats) -> Floats:
    """How far each pair lies from the fit of all the others, n x 2; NaN for pairs that only they themselves fix.

    By the predicted residual sum of squares (Allen: Technometrics 16, 1974), which needs no second fit.
    """
    basis, _ = np.linalg.qr(derivatives)
    blocks = basis.reshape(len(misses), 2, _UNKNOWNS)
    leverage = blocks @ blocks.transpose(0, 2, 1)
    checked = np.linalg.eigvalsh(leverage)[:, -1] < _LEVERAGE
    errors = np.full_like(misses, np.nan)
    errors[checked] = np.linalg.solve(np.eye(2) - leverage[checked], misses[checked][:, :, None])[:, :, 0]
    return errors


def _residuals(
    homography: Floats, image: Floats, misses: Floats
) -> tuple[tuple[float, float], float] | tuple[None, None]:
    spare = len(image) - MINIMUM_PAIRS
    if spare == 0:
        return None, None
    deviation = np.sqrt((misses**2).sum(axis=0) / spare)
    metres = _jacobian(homography, image) * deviation
    return (float(deviation[0]), float(deviation[1])), float(np.sqrt((metres**2).sum(axis=(1, 2)).mean()))


def _depths(matrix: Floats, points: Floats) -> Floats:
    depths: Floats = points @ matrix[2, :2] + matrix[2, 2]
    return depths


def _divided(matrix: Floats, points: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Floats = (points @ matrix[:2, :2].T + matrix[:2, 2]) / _depths(matrix, points)[:, None]
    return quotient


def _project(matrix: Floats, points: Floats) -> Floats:
    return np.where(_depths(matrix, points)[:, None] > 0.0, _divided(matrix, points), np.nan)


def _jacobian(homography: Floats, points: Floats) -> Floats:
    ground = _project(homography, points)
    with np.errstate(divide="ignore", invalid="ignore"):
        derivative: Floats = (homography[:2, :2] - ground[:, :, None] * homography[2, :2]) / _depths(
            homography, points
        )[:, None, None]
    return derivative
