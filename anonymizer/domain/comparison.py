"""Where two pictures differ, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.grid import Cells, Grid, Levels


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much a cell may change and still count as the same. A cell differs when any one of the limits is passed.

    Attributes:
        mean: mean absolute luma difference, grey levels.
        outlier: absolute luma difference above which one pixel stands out, grey levels.
        outlier_share: the share of pixels that may stand out, 0..1.
        chroma: mean absolute chroma difference, levels.
        light: a cell that became brighter or darker evenly, by so many grey levels at most, is the same cell in another
            light: the soft shadow of somebody who passes beside it, or a cloud.
    """

    mean: int
    outlier: int
    outlier_share: float
    chroma: int
    light: int


def differing(grid: Grid, live: Planes, reference: Planes, sensitivity: Sensitivity) -> Cells:
    """Cells in which two padded pictures differ.

    The mean answers for large faint changes, the outliers for small strong ones such as the rim of a silhouette that
    only just enters the cell, and chroma for things as bright as their background.
    """
    luma = cv2.absdiff(live.luma, reference.luma)
    mean = grid.mean(_plane(luma))
    faint = (mean > sensitivity.mean) & ~_evenly_lit(grid, live.luma, reference.luma, mean, sensitivity.light)
    standing_out = cv2.threshold(luma, sensitivity.outlier, 255, cv2.THRESH_BINARY)[1]
    strong = grid.mean(_plane(standing_out)) > round(255 * sensitivity.outlier_share)
    chroma = cv2.max(cv2.absdiff(live.blue, reference.blue), cv2.absdiff(live.red, reference.red))
    coloured = grid.mean(_plane(chroma)) > sensitivity.chroma
    return faint | strong | coloured


def _evenly_lit(grid: Grid, live: Plane, reference: Plane, mean: Levels, limit: int) -> Cells:
    """Whether all pixels of a cell became brighter, or all darker, by about the same.

    Then the mean of the differences is the difference of the means. What moves changes some pixels up and others down.
    """
    shift = _plane(cv2.absdiff(grid.mean(live), grid.mean(reference)))
    return (mean <= limit) & (shift + np.uint8(2) >= mean)


def is_new_picture(luma: Plane, previous: Plane) -> bool:
    """Whether a picture is a new look at the scene, and not the one before once more.

    A frozen camera, or an encoder that skips every block, shows the same picture again; whoever is missed in it is
    missed again, so that it proves nothing. Sensor noise changes far more than one pixel in a hundred.

    Args:
        luma: any subsampling of the luma plane.
        previous: the same subsampling of the picture before.
    """
    return int(np.count_nonzero(luma != previous)) * 100 > luma.size


def _plane(image: object) -> Plane:
    return np.asarray(image, np.uint8)
