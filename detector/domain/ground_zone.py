"""A zone of the picture as a piece of ground: its area with its error, and cells for what is dense within it.

Straight edges of the picture are straight on the ground, so that the corners say all, as long as the whole zone lies
below the horizon. Close to the horizon a pixel is worth many metres, and an area that rests on it is no area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from detector.domain import geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Point

Floats = npt.NDArray[np.float64]

UNKNOWN_PICTURE_ERROR: Final = 0.005
"""Of a calibration without a residual, along x and y, in shares of the picture: four pixels of 768, a careless hand."""
LEAST_PICTURE_ERROR: Final = 0.002
"""And of any other at least: a pixel and a half of 768, a careful one. Corners are drawn by hand too."""
LARGEST_AREA_ERROR: Final = 0.3
"""One standard error of an area, as its share, beyond which nothing is said per square metre."""
SMALLEST_AREA: Final = 4.0
"""Square metres. In a smaller zone a single person would change the density by more than a level of service."""
CELL_METRES: Final = 1.0
BLOCK_CELLS: Final = 2
"""Local density is that of two by two cells: in one square metre, one person more or less is a crowd or nobody."""
_MOST_CELLS: Final = 4096
_SAMPLES: Final = 5
"""Points per side of a cell at which it is asked whether it belongs to the zone."""
_LEAST_COVERED: Final = 0.5


class AreaUnknownError(ValueError):
    """The calibration cannot give a zone's area; says why, in the words of whoever drew it."""


@dataclass(frozen=True, slots=True)
class GroundZone:
    """A zone on the ground.

    Attributes:
        corners: metres east and north, in the order of the zone's corners in the picture.
        area: square metres.
        area_error: one standard error of it, square metres, from the calibration's residual.
    """

    corners: tuple[Point, ...]
    area: float
    area_error: float

    @classmethod
    def survey(cls, zone: Sequence[Point], calibration: Calibration) -> GroundZone:
        """The ground of a zone.

        The error of the area is what remains of errors at its corners as large as those of the calibration's own pairs,
        independent of each other, by the derivatives of the shoelace formula.

        Args:
            zone: corners, normalised.
            calibration: of the optic.

        Raises:
            AreaUnknownError: the zone reaches the horizon or comes too close to it, crosses itself, or is too small.
        """
        if _crosses_itself(zone):
            raise AreaUnknownError("the zone's outline crosses itself: draw it again")
        image = np.array(zone, dtype=np.float64)
        ground = calibration.to_ground(image)
        if not np.isfinite(ground).all():
            raise AreaUnknownError("the zone reaches the horizon of the calibration: draw its far side closer")
        ground_here = ground - ground.mean(axis=0)
        area, slopes = _shoelace(ground_here)
        error = _picture_error(calibration)
        steps = np.einsum("ni,nij->nj", slopes, calibration.jacobian(image)) * error
        area_error = float(np.sqrt((steps**2).sum()))
        if area < SMALLEST_AREA:
            raise AreaUnknownError(f"the zone has {area:.1f} m² of ground, and {SMALLEST_AREA:g} m² is the least")
        if area_error > LARGEST_AREA_ERROR * area:
            raise AreaUnknownError(
                f"the zone's {area:.0f} m² are uncertain by {area_error / area:.0%}: "
                "draw its far side closer, or give the calibration more points there"
            )
        return cls(tuple((east, north) for east, north in ground.tolist()), area, area_error)


class GroundCells:
    """Square cells over a zone's ground, in which presence is summed.

    Args:
        zone: the zone; a very large one has larger cells.
    """

    def __init__(self, zone: GroundZone) -> None:
        corners = np.array(zone.corners, dtype=np.float64)
        self._origin = corners.min(axis=0)
        extent = corners.max(axis=0) - self._origin
        self.side = max(CELL_METRES, math.sqrt(float(extent.prod()) / _MOST_CELLS))
        """Of a cell, metres."""
        self._shape = (int(extent[0] // self.side) + 1, int(extent[1] // self.side) + 1)
        self._blocks = _blocks(self._covered(corners))
        self.presence: Floats = np.zeros(self._shape[0] * self._shape[1])
        """What was summed, by cell."""

    @property
    def block_area(self) -> float:
        """Of the block that has the most ground of the zone, square metres."""
        return float(self._blocks.max())

    def cells(self, positions: Sequence[Point]) -> npt.NDArray[np.intp]:
        """The cell of each position (metres east and north), n; a position beside the zone has the nearest cell."""
        if not positions:
            return np.empty(0, dtype=np.intp)
        steps = (np.array(positions, dtype=np.float64) - self._origin) // self.side
        rows = np.clip(steps, 0, np.array(self._shape) - 1).astype(np.intp)
        flat: npt.NDArray[np.intp] = rows[:, 0] * self._shape[1] + rows[:, 1]
        return flat

    def peak(self) -> float:
        """The largest sum of a block per square metre of it that lies in the zone."""
        inside = self._blocks >= _LEAST_COVERED * self.block_area
        sums = _blocks(self.presence.reshape(self._shape))
        return max(0.0, float((sums[inside] / self._blocks[inside]).max()))

    def _covered(self, corners: Floats) -> Floats:
        """Square metres of each cell that lie in the zone."""
        offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
        east = self._origin[0] + self.side * (np.arange(self._shape[0])[:, None] + offsets).ravel()
        north = self._origin[1] + self.side * (np.arange(self._shape[1])[:, None] + offsets).ravel()
        places = np.stack([np.repeat(east, len(north)), np.tile(north, len(east))], axis=1)
        found = geometry.contains(corners.tolist(), places)
        samples = found.reshape(self._shape[0], _SAMPLES, self._shape[1], _SAMPLES)
        covered: Floats = samples.mean(axis=(1, 3)) * self.side**2
        return covered


def _picture_error(calibration: Calibration) -> Floats:
    residual = calibration.residual_picture
    if residual is None:
        return np.full(2, UNKNOWN_PICTURE_ERROR)
    error: Floats = np.maximum(np.array(residual, dtype=np.float64), LEAST_PICTURE_ERROR)
    return error


def _shoelace(corners: Floats) -> tuple[float, Floats]:
    """The area of a polygon, and by how much it changes with each corner, n x 2."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    signed = float((corners[:, 0] * after[:, 1] - corners[:, 1] * after[:, 0]).sum()) / 2.0
    slopes: Floats = np.stack([after[:, 1] - before[:, 1], before[:, 0] - after[:, 0]], axis=1) / 2.0
    return abs(signed), slopes


def _crosses_itself(corners: Sequence[Point]) -> bool:
    edges = geometry.segments([*corners, corners[0]])
    return any(
        _cross(edges[first], edges[second])
        for first in range(len(edges))
        for second in range(first + 2, len(edges))
        if (first, second) != (0, len(edges) - 1)
    )


def _cross(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    sides = [geometry.turn(*one, point) for point in other], [geometry.turn(*other, point) for point in one]
    return all(before * after < 0.0 for before, after in sides)


def _blocks(cells: Floats) -> Floats:
    """Sums over every square of BLOCK_CELLS cells, at every place; a grid that is too small is one square."""
    padded = np.pad(cells, [(0, max(0, BLOCK_CELLS - length)) for length in cells.shape])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (BLOCK_CELLS, BLOCK_CELLS))
    sums: Floats = windows.sum(axis=(2, 3))
    return sums
