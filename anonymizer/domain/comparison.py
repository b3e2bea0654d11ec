"""Where two pictures differ, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.grid import Cells, Grid, Levels

_NOISE_FACTOR: Final = 5.0
"""What stands out of the noise, in mean absolute differences of the noise: 4 standard deviations of a normal one."""
_OUTLIER_LIMITS: Final = (8, 22)
"""Grey levels; below it would be a matter of rounding and compression, above nobody would be noticed."""
_FIDGETING_PIXELS: Final = 2
"""Of a cell's 64, that may stand out."""


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


@dataclass(frozen=True, slots=True)
class Look:
    """A padded picture and what is needed of it again and again.

    Attributes:
        planes: the picture.
        mean: luma of each cell.
    """

    planes: Planes
    mean: Levels

    @classmethod
    def at(cls, grid: Grid, planes: Planes) -> Look:
        """A look at a padded picture."""
        return cls(planes, grid.mean(planes.luma))


def differing(grid: Grid, one: Look, other: Look, sensitivity: Sensitivity) -> Cells:
    """Cells in which two looks differ.

    The mean answers for large faint changes, the outliers for small strong ones such as the rim of a silhouette that
    only just enters the cell, and chroma for things as bright as their background.
    """
    live, reference = one.planes, other.planes
    luma = cv2.absdiff(live.luma, reference.luma)
    mean = grid.mean(_plane(luma))
    faint = (mean > sensitivity.mean) & ~_evenly_lit(one.mean, other.mean, mean, sensitivity.light)
    standing_out = cv2.threshold(luma, sensitivity.outlier, 255, cv2.THRESH_BINARY)[1]
    strong = grid.mean(_plane(standing_out)) > round(255 * sensitivity.outlier_share)
    chroma = cv2.max(cv2.absdiff(live.blue, reference.blue), cv2.absdiff(live.red, reference.red))
    coloured = grid.mean(_plane(chroma)) > sensitivity.chroma
    return faint | strong | coloured


def _evenly_lit(live: Levels, reference: Levels, mean: Levels, limit: int) -> Cells:
    """Whether all pixels of a cell became brighter, or all darker, by about the same.

    Then the mean of the differences is the difference of the means. What moves changes some pixels up and others down.
    """
    shift = _plane(cv2.absdiff(live, reference))
    return (mean <= limit) & (shift + np.uint8(2) >= mean)


def evenly_lit(grid: Grid, one: Look, other: Look) -> Cells:
    """Cells in which nearly all pixels became brighter, or nearly all darker, by however much."""
    mean = grid.mean(_plane(cv2.absdiff(one.planes.luma, other.planes.luma)))
    shift = np.asarray(cv2.absdiff(one.mean, other.mean), np.uint8)
    return shift.astype(np.int16) * 10 >= mean.astype(np.int16) * 9


def fidgeting(grid: Grid, live: Look, average: Plane) -> Cells:
    """Cells in which a few pixels stand out of their own average, by more than noise does and not evenly.

    Somebody who stands still sways by a fraction of a pixel, which changes the rims of all that he is made of by some
    levels, up here and down there. What counts as noise is read off the picture: most of it is street.

    Args:
        grid: the cells.
        live: the picture.
        average: luma of the pictures before.
    """
    luma = _plane(cv2.absdiff(live.planes.luma, average))
    mean = grid.mean(luma)
    outlier = int(np.clip(_NOISE_FACTOR * float(np.median(mean)), *_OUTLIER_LIMITS))
    standing_out = grid.mean(_plane(cv2.threshold(luma, outlier, 255, cv2.THRESH_BINARY)[1]))
    return (standing_out > _FIDGETING_PIXELS * 255 // 64) & ~_evenly_lit(live.mean, grid.mean(average), mean, 255)


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
