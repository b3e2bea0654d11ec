"""YOLOX: anchor-free, three grids, boxes relative to their cell (Ge, Liu, Wang, Li, Sun: YOLOX, 2021, section 2.1)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.heads.interface import (
    MOST_CANDIDATES,
    Axes,
    HeadParameters,
    Outputs,
    Values,
    allowed_columns,
    corners,
    read_frame,
    settle,
    strongest,
)

if TYPE_CHECKING:
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Placement

STRIDES: Final = (8, 16, 32)
"""Network pixels from cell to cell, in the order of the grids in the output."""
_LARGEST_LOGARITHM: Final = 10.0
"""exp of this times the smallest stride is more than any input is wide; above it float32 would overflow."""


class YoloXHead:
    """Reads `predictions` (N x A x (5 + C)), one row per cell of the grids of strides 8, 16, 32, each row by row.

    A row: offset of the centre from the cell's corner in strides (x, y), natural logarithm of width and height in
    strides, score of being an object, C class scores, all scores 0..1. This is the export without
    decoding in the graph. The score of a detection is object score times class score; of the classes in the allow-list
    a cell has the best.
    """

    def __init__(self, parameters: HeadParameters) -> None:
        self.outputs: dict[str, Axes] = {"predictions": (None, None, 5 + len(parameters.classes))}
        self._overlap = parameters.overlap
        self._columns, self._classes = allowed_columns(parameters.classes)

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """See Head.decode.

        Raises:
            ValueError: also when there are more or fewer rows than cells.
        """
        (rows,) = read_frame(outputs, self.outputs, frame)
        cells = _cells(placement.network_width, placement.network_height)
        if len(rows) != len(cells):
            raise ValueError(f"output predictions has {len(rows)} rows for {len(cells)} cells")
        class_scores = rows[:, 5 + self._columns]
        scores = rows[:, 4] * class_scores.max(axis=1)
        found = np.flatnonzero(scores >= threshold)
        found = found[strongest(scores[found], MOST_CANDIDATES)]
        classes = self._classes[class_scores[found].argmax(axis=1)]
        near, strides = cells[found, :2], cells[found, 2:]
        centres = (rows[found, :2] + near) * strides
        sizes = np.exp(np.minimum(rows[found, 2:4], _LARGEST_LOGARITHM)) * strides
        boxes = corners(np.concatenate([centres, sizes], axis=1))
        return settle(boxes, scores[found], classes, placement, self._overlap)


@functools.lru_cache(maxsize=16)
def _cells(width: int, height: int) -> Values:
    """Column, row and stride of every cell of an input of this size; float32, A x 3."""
    grids = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    cells = np.concatenate(grids).astype(np.float32)
    cells.setflags(write=False)
    return cells
