"""The coarse grid of cells in which the anonymizer thinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.frame import Plane, Planes, Size
from anonymizer.domain.verdict import Boxes

Cells = npt.NDArray[np.bool_]
"""One flag per cell: rows x columns of a `Grid`."""
Levels = npt.NDArray[np.uint8]
"""One value per cell: rows x columns of a `Grid`."""
Spans = npt.NDArray[np.int64]
"""N x 4: first column, first row, one past the last column, one past the last row; in blocks of a picture."""
Spared = float | npt.NDArray[np.float64]

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
        """The mean of each cell of a padded plane, luma or chroma, within one level."""
        # In halves: each is a fast path of the library, and all three together cost a fifth of one step of eight.
        while plane.shape[0] > self.rows:
            half = (plane.shape[1] // 2, plane.shape[0] // 2)
            plane = _plane(cv2.resize(plane, half, interpolation=cv2.INTER_AREA))
        return plane

    def spread(self, levels: Levels, cell: int = CELL) -> Plane:
        """Each cell's value for all its pixels: rows*cell x columns*cell."""
        return np.repeat(np.repeat(levels, cell, axis=1), cell, axis=0)

    def spans(self, boxes: Boxes, *, side: int = CELL, spared: Spared = 0.0) -> Spans:
        """Every block of so many luma pixels that a box touches.

        Args:
            boxes: N x 4, see `Boxes`; what lies outside the picture is cut off.
            side: of a block, in luma pixels; CELL for cells, 2 for chroma pixels.
            spared: blocks into which a box reaches less far than this share of their side are left out; for all boxes
                or N x 1.
        """
        limit = np.array([self.columns, self.rows]) * (CELL // side)
        extent = np.array([self.size.width, self.size.height] * 2) / side
        edges = np.clip(boxes.astype(np.float64), 0.0, 1.0) * extent
        low = np.minimum(np.floor(edges[:, :2] + spared), limit)
        high = np.maximum(np.minimum(np.ceil(edges[:, 2:] - spared), limit), low)
        spans: Spans = np.concatenate([low, high], axis=1).astype(np.int64)
        return spans


def slices(spans: Spans) -> list[tuple[slice, slice]]:
    """Rows and columns of each span, to index a plane of such blocks with."""
    return [(slice(top, bottom), slice(left, right)) for left, top, right, bottom in spans.tolist()]


def counts(cells: Cells, spans: Spans) -> npt.NDArray[np.int64]:
    """How many of the cells lie in each span."""
    total = np.asarray(cv2.integral(cells.view(np.uint8)), np.int64)
    left, top, right, bottom = spans.T
    counted: npt.NDArray[np.int64] = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    return counted


def grown(cells: Cells, steps: int) -> Cells:
    """The cells and their neighbours up to so many steps away, diagonals included."""
    if steps <= 0:
        return cells
    kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
    return np.asarray(cv2.dilate(cells.view(np.uint8), kernel), np.uint8).view(np.bool_)


def grown_across(cells: Cells) -> Cells:
    """The cells and their neighbours to the left and right."""
    return np.asarray(cv2.dilate(cells.view(np.uint8), np.ones((1, 3), np.uint8)), np.uint8).view(np.bool_)


def opened(cells: Cells, side: int) -> Cells:
    """What of the cells lies in squares of so many cells on a side."""
    kernel = np.ones((side, side), np.uint8)
    return np.asarray(cv2.morphologyEx(cells.view(np.uint8), cv2.MORPH_OPEN, kernel), np.uint8).view(np.bool_)


def closed(cells: Cells, steps: int) -> Cells:
    """The cells, and the gaps between them that are at most 2 * steps wide. Beyond the edge there is nothing."""
    return _closed(cells, steps, steps)


def closed_across(cells: Cells, steps: int) -> Cells:
    """As `closed`, but only gaps within a row."""
    return _closed(cells, steps, 0)


def _closed(cells: Cells, across: int, down: int) -> Cells:
    kernel = np.ones((2 * down + 1, 2 * across + 1), np.uint8)
    bordered = cv2.copyMakeBorder(cells.view(np.uint8), down, down, across, across, cv2.BORDER_CONSTANT, value=(0,))
    joined = np.asarray(cv2.morphologyEx(bordered, cv2.MORPH_CLOSE, kernel), np.uint8)
    inner = joined[down : joined.shape[0] - down, across : joined.shape[1] - across]
    return np.ascontiguousarray(inner).view(np.bool_)


def _plane(image: object) -> Plane:
    return np.asarray(image, np.uint8)
