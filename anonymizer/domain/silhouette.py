"""Solid fill: what stands in the picture in place of what may not be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.coasting import Area
from anonymizer.domain.frame import Planes
from anonymizer.domain.grid import CELL, Cells, Grid, Levels, closed
from anonymizer.domain.verdict import ObjectClass

PLATE: Final = 0
"""Not filled: the plate is shown."""
PRIVACY: Final = 1
"""A static privacy mask."""
UNKNOWN: Final = 2
"""No plate is known here yet."""
CHANGED: Final = 3
"""The picture differs from the plate, or moves, and the detector did not say what it is."""
_FIRST_CLASS: Final = 4
_COLOURS: Final = {
    ObjectClass.UNSPECIFIED: (150, 110, 150),
    ObjectClass.PERSON: (170, 60, 165),
    ObjectClass.BICYCLE: (165, 150, 60),
    ObjectClass.CAR: (120, 185, 90),
    ObjectClass.MOTORCYCLE: (140, 160, 60),
    ObjectClass.BUS: (105, 195, 110),
    ObjectClass.TRAIN: (95, 190, 130),
    ObjectClass.TRUCK: (110, 180, 100),
    ObjectClass.ANIMAL: (145, 90, 110),
    ObjectClass.LUGGAGE: (190, 70, 140),
}
"""Luma, Cb, Cr of the silhouette; the area of the detection around it has half its luma."""


def silhouette_of(object_class: ObjectClass) -> int:
    """The fill of the shape itself."""
    return _FIRST_CLASS + 2 * int(object_class)


def surroundings_of(object_class: ObjectClass) -> int:
    """The fill of the detection's area around the shape."""
    return silhouette_of(object_class) + 1


def _palette() -> npt.NDArray[np.uint8]:
    """256 x 3: luma, Cb, Cr of each fill."""
    palette = np.full((256, 3), 128, np.uint8)
    palette[PRIVACY] = (16, 128, 128)
    palette[UNKNOWN] = (48, 128, 128)
    palette[CHANGED] = (190, 70, 150)
    for object_class, (luma, blue, red) in _COLOURS.items():
        palette[silhouette_of(object_class)] = (luma, blue, red)
        palette[surroundings_of(object_class)] = (luma // 2, blue, red)
    return palette


PALETTE: Final = _palette()


def draw(
    grid: Grid, known: Cells, changed: Cells, areas: Sequence[Area], privacy: Cells, *, boxes: bool = False
) -> Levels:
    """The fill of every cell.

    Persons are drawn last, so that a vehicle behind them does not swallow their posture; privacy masks over all.

    Args:
        grid: the cells.
        known: cells that the plate knows.
        changed: cells in which the picture differs from the plate, or moves where there is none.
        areas: detections, with their margin.
        privacy: cells under a static privacy mask.
        boxes: whether an area is filled in one colour instead of showing the shape in it.

    Returns:
        uint8, rows x columns: a fill of this module; PLATE where nothing hides the plate.
    """
    fill = np.where(known, np.uint8(PLATE), np.uint8(UNKNOWN))
    solid = closed(changed, 1)
    fill[solid] = CHANGED
    for area in sorted(areas, key=lambda each: each.object_class is ObjectClass.PERSON):
        cover = grid.cover(area.left, area.top, area.right, area.bottom)
        fill[cover] = np.where(
            solid[cover] | boxes,
            np.uint8(silhouette_of(area.object_class)),
            np.uint8(surroundings_of(area.object_class)),
        )
    fill[privacy] = PRIVACY
    return fill


def paint(grid: Grid, plate: Planes, fill: Levels) -> Planes:
    """The plate with every filled cell in its solid colour; new arrays of the plate's size."""
    filled = (fill != PLATE).view(np.uint8)
    luma_mask, chroma_mask = grid.spread(filled), grid.spread(filled, CELL // 2)
    colours = PALETTE[fill]
    luma, blue, red = plate.luma.copy(), plate.blue.copy(), plate.red.copy()
    cv2.copyTo(grid.spread(np.ascontiguousarray(colours[..., 0])), luma_mask, luma)
    cv2.copyTo(grid.spread(np.ascontiguousarray(colours[..., 1]), CELL // 2), chroma_mask, blue)
    cv2.copyTo(grid.spread(np.ascontiguousarray(colours[..., 2]), CELL // 2), chroma_mask, red)
    return Planes(luma, blue, red)
