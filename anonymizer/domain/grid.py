"""The coarse grid of cells in which the anonymizer thinks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.frame import Plane, Planes, Size

Cells = npt.NDArray[np.bool_]
"""One flag per cell: rows x columns of a `Grid`."""
Levels = npt.NDArray[np.uint8]
"""One value per cell: rows x columns of a `Grid`."""

CELL: Final = 8
"""Luma pixels on a side of a cell; 4 chroma pixels. A head of 12 pixels, the smallest that is worth recognising, spans
two."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of 8 x 8 luma pixels over a picture; the last row and column may reach over its edge."""

    size: Size

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return -(-self.size.height // CELL)

    @property
    def columns(self) -> int:
        """Cells from left to right."""
        return -(-self.size.width // CELL)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def is_exact(self) -> bool:
        """Whether the cells end where the picture ends."""
        return self.size.width % CELL == 0 and self.size.height % CELL == 0

    def padded(self, planes: Planes) -> Planes:
        """The planes, their last rows and columns repeated up to the end of the last cells. No copy when `is_exact`."""
        if self.is_exact:
            return planes

        def pad(plane: Plane, cell: int) -> Plane:
            below, right = self.rows * cell - plane.shape[0], self.columns * cell - plane.shape[1]
            return _plane(cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE))

        return Planes(pad(planes.luma, CELL), pad(planes.blue, CELL // 2), pad(planes.red, CELL // 2))

    def cropped(self, planes: Planes) -> Planes:
        """The reverse of `padded`."""
        if self.is_exact:
            return planes
        height, width = self.size.height, self.size.width
        return Planes(
            np.ascontiguousarray(planes.luma[:height, :width]),
            np.ascontiguousarray(planes.blue[: height // 2, : width // 2]),
            np.ascontiguousarray(planes.red[: height // 2, : width // 2]),
        )

    def mean(self, plane: Plane) -> Levels:
        """The rounded mean of each cell of a padded plane, luma or chroma."""
        return _plane(cv2.resize(plane, (self.columns, self.rows), interpolation=cv2.INTER_AREA))

    def spread(self, levels: Levels, cell: int = CELL) -> Plane:
        """Each cell's value for all its pixels: rows*cell x columns*cell."""
        size = (self.columns * cell, self.rows * cell)
        return _plane(cv2.resize(levels, size, interpolation=cv2.INTER_NEAREST))

    def cover(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """Every cell that a rectangle touches, as (rows, columns); empty when it lies outside the picture.

        Args:
            left: 0..1 of the width, like right; top and bottom are 0..1 of the height.
            top: see left.
            right: see left.
            bottom: see left.
        """
        columns = _span(left, right, self.size.width / CELL, self.columns)
        return _span(top, bottom, self.size.height / CELL, self.rows), columns


def _span(low: float, high: float, extent: float, count: int) -> slice:
    first = int(min(max(low, 0.0), 1.0) * extent)
    return slice(first, min(count, math.ceil(min(max(high, 0.0), 1.0) * extent)))


def grown(cells: Cells, steps: int) -> Cells:
    """The cells and their neighbours up to so many steps away, diagonals included."""
    if steps <= 0:
        return cells
    kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
    return np.asarray(cv2.dilate(cells.view(np.uint8), kernel), np.uint8).view(np.bool_)


def closed(cells: Cells, steps: int) -> Cells:
    """The cells, and the gaps between them that are at most 2 * steps wide. Beyond the edge there is nothing."""
    if steps <= 0:
        return cells
    kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
    bordered = cv2.copyMakeBorder(cells.view(np.uint8), steps, steps, steps, steps, cv2.BORDER_CONSTANT, value=(0,))
    joined = cv2.morphologyEx(bordered, cv2.MORPH_CLOSE, kernel)
    inner = np.asarray(joined, np.uint8)[steps:-steps, steps:-steps]
    return np.ascontiguousarray(inner).view(np.bool_)


def _plane(image: object) -> Plane:
    return np.asarray(image, np.uint8)
