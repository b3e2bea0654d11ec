"""Solid fill: what stands in the picture in place of what may not be seen."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.coasting import Areas
from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.grid import CELL, Cells, Grid, Levels, closed, slices
from anonymizer.domain.verdict import ObjectClass, known_classes

PLATE: Final = 0
"""Not filled: the plate is shown."""
PRIVACY: Final = 1
"""A static privacy mask."""
UNKNOWN: Final = 2
"""No plate is known here yet."""
CHANGED: Final = 3
"""The picture differs from the plate, or moves, and the detector did not say what it is."""
VEILED: Final = 4
"""The picture is evenly lighter or darker than the plate over a wide area: smoke, glare, a fire's glow."""
_VEILED_STRIPE: Final = 5
_FIRST_CLASS: Final = 6
_STRIPE: Final = 4
"""Chroma pixels across a stripe of the hatch."""
_CHROMA: Final = 2
"""Luma pixels on a side of a chroma pixel."""
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
    palette[PLATE, 0] = 0  # no fill is as dark, see `paint`
    palette[PRIVACY] = (16, 128, 128)
    palette[UNKNOWN] = (48, 128, 128)
    palette[CHANGED] = palette[VEILED] = (190, 70, 150)
    palette[_VEILED_STRIPE] = (70, 115, 135)
    for object_class, (luma, blue, red) in _COLOURS.items():
        palette[silhouette_of(object_class)] = (luma, blue, red)
        palette[surroundings_of(object_class)] = (luma // 2, blue, red)
    return palette


PALETTE: Final = _palette()
_COLUMNS: Final = tuple(np.ascontiguousarray(column) for column in PALETTE.T)


def draw(
    grid: Grid, known: Cells, changed: Cells, veiled: Cells, areas: Areas, privacy: Cells, *, boxes: bool = False
) -> Levels:
    """The fill of every chroma pixel, that is of every 2 x 2 luma pixels.

    The shapes of persons are drawn last, so that a vehicle behind them does not swallow their posture; privacy masks
    over all. A shape reaches as far as the detection, its margin is filled like the rest of the area.

    Args:
        grid: the cells.
        known: cells that the plate knows.
        changed: cells in which the picture differs from the plate, or moves where there is none.
        veiled: those of them under smoke or light; hatched, so that their extent can be told from an object's.
        areas: detections, with their margin.
        privacy: cells under a static privacy mask.
        boxes: whether an area is filled in one colour instead of showing the shape in it.

    Returns:
        uint8, of the size of a padded chroma plane: a fill of this module; PLATE where nothing hides the plate.
    """
    solid = closed(changed, 1)
    cells = np.where(known, np.uint8(PLATE), np.uint8(UNKNOWN))
    cells[solid] = CHANGED
    cells[veiled] = VEILED
    fill = grid.spread(cells, CELL // 2)
    if veiled.any():
        _hatch(fill)
    inner = fill.copy()
    outlines = slices(grid.spans(areas.outlines, side=_CHROMA))
    insides = slices(grid.spans(areas.boxes, side=_CHROMA))
    codes = (_FIRST_CLASS + 2 * known_classes(areas.classes)).tolist()
    for index in np.argsort(areas.classes == ObjectClass.PERSON, kind="stable").tolist():
        fill[outlines[index]] = codes[index] if boxes else codes[index] + 1
        inner[insides[index]] = codes[index]
    if not boxes:
        is_shape = (inner >= _FIRST_CLASS) & _pixels(grid, solid)
        np.copyto(fill, inner, where=is_shape)
    if privacy.any():
        fill[_pixels(grid, privacy)] = PRIVACY
    return fill


def _hatch(fill: Levels) -> None:
    """Stripes from the lower left to the upper right."""
    rows, columns = np.nonzero(fill == VEILED)
    is_stripe = (rows + columns) // _STRIPE % 2 == 1
    fill[rows[is_stripe], columns[is_stripe]] = _VEILED_STRIPE


def paint(plate: Planes, fill: Levels) -> Planes:
    """The plate with everything that is filled in its solid colour; new arrays of the plate's size."""
    luma, blue, red = (_plane(cv2.LUT(fill, column)) for column in _COLUMNS)
    painted = Planes(plate.luma.copy(), plate.blue.copy(), plate.red.copy())
    # What is not filled is 0 in both the fills and their luma: each is its own mask.
    doubled = _doubled(luma)
    cv2.copyTo(doubled, doubled, painted.luma)
    cv2.copyTo(blue, fill, painted.blue)
    cv2.copyTo(red, fill, painted.red)
    return painted


def _pixels(grid: Grid, cells: Cells) -> Cells:
    """The cells' chroma pixels."""
    return grid.spread(cells.view(np.uint8), CELL // 2).view(np.bool_)


def _doubled(plane: Plane) -> Plane:
    """Each pixel twice in both directions: two equal bytes make a 16-bit number, which is faster than any resizing."""
    wide = plane.astype(np.uint16) * np.uint16(257)
    return np.repeat(wide.view(np.uint8), 2, axis=0)


def _plane(image: object) -> Plane:
    return np.asarray(image, np.uint8)
