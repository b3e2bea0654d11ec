"""Smoke, glare and the glow of a fire: wide areas in another light, to be told from things and people."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from anonymizer.domain.grid import Cells, closed

LEAST_SHARE: Final = 0.03
"""Of the picture's cells: the smallest veil. Below, a person or a car is likelier."""
EVEN_SHARE: Final = 0.5
"""Of an area's cells that must be evenly lighter or darker. Of a person in front of anything some cells are."""


def veiled(shapes: Cells, evenly_lit: Cells) -> Cells:
    """Which of the changed cells lie in areas that are wide, and most of them only lighter or darker.

    Args:
        shapes: cells that differ from the plate and that no detection explains.
        evenly_lit: see `Plate.evenly_lit`.
    """
    joined = closed(shapes, 1)
    veil = np.zeros_like(shapes)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined.view(np.uint8))
    for label in range(1, count):
        if statistics[label, cv2.CC_STAT_AREA] >= LEAST_SHARE * shapes.size:
            area = labels == label
            if evenly_lit[area & shapes].mean() >= EVEN_SHARE:
                veil |= area
    return veil


def is_wide(shapes: Cells) -> bool:
    """Whether there may be a veil at all."""
    return int(np.count_nonzero(shapes)) >= LEAST_SHARE * shapes.size / 2
