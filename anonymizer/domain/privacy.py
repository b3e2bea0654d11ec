"""Static privacy masks: windows and balconies, drawn by people, that nobody may ever see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.grid import CELL, Cells, Grid, grown

Polygon = npt.NDArray[np.float32]
"""N x 2: x and y of the corners in order, 0..1 of the picture's width and height; N >= 3."""

_PIXELS_PER_CELL: Final = 4
_LEAST_CORNERS: Final = 3


def cells_under(grid: Grid, polygons: Sequence[Polygon]) -> Cells:
    """Every cell that a polygon touches, and one more around it.

    Raises:
        ValueError: a polygon has fewer than three corners, or one that is not finite.
    """
    canvas = np.zeros((grid.rows * _PIXELS_PER_CELL, grid.columns * _PIXELS_PER_CELL), np.uint8)
    scale = np.array([grid.size.width, grid.size.height], np.float64) * _PIXELS_PER_CELL / CELL
    for polygon in polygons:
        is_outline = polygon.shape[1:] == (2,) and len(polygon) >= _LEAST_CORNERS
        if not is_outline or not np.isfinite(polygon).all():
            raise ValueError("a privacy mask needs at least three finite corners")
        corners = np.rint(np.clip(polygon, -1.0, 2.0) * scale).astype(np.int32)
        cv2.fillPoly(canvas, [corners], (1,))
    blocks = canvas.reshape(grid.rows, _PIXELS_PER_CELL, grid.columns, _PIXELS_PER_CELL)
    touched: Cells = np.asarray(blocks.any(axis=(1, 3)))
    return grown(np.ascontiguousarray(touched), 1) if polygons else touched
