"""Small things far away: a large frame is looked at whole and in tiles, in all of them or where something happens.

A network sees a frame at its own size; of a person 20 pixels high in a frame of 1920 it sees six. In a tile it sees
them at nearly full size (slicing: Akyon et al.: Slicing Aided Hyper Inference, 2022). The whole frame is looked at as
well, because what is large is in no tile as a whole.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from detector.domain.detections import Detections, areas, ordered, suppress
from detector.domain.preprocessing import Planes

if TYPE_CHECKING:
    import numpy.typing as npt

    from detector.domain.detections import Boxes
    from detector.domain.preprocessing import Plane

TILE_WIDTH: Final = 768
"""Pixels; the width at which an optic is analysed by default."""
OVERLAP: Final = 0.2
"""Share of a tile that it has in common with its neighbour: what is no larger is whole in one of them."""
TOLERANCE: Final = 1.25
"""A tile may be so much wider than asked for, before there is one more of them in a row."""
MOST_IN_A_ROW: Final = 4
BORDER: Final = 2.0
"""Pixels: a box that ends so near to a tile's border may go on behind it."""
COVERED: Final = 0.6
"""Share of a box that was cut at a border, from which on the box that covers it is the same object, seen whole."""
THUMBNAIL: Final = (96, 54)
"""Size at which frames are compared, pixels: one is 20 pixels of a frame of 1920, about a person far away."""
MOVED: Final = 6
"""Difference of luma, of 255, that noise does not reach in the mean of some hundred pixels."""


class Tiling(enum.StrEnum):
    """How a large frame is looked at."""

    OFF = "off"
    """Whole, and nothing more."""
    GRID = "grid"
    """Whole, and in all tiles."""
    MOTION = "motion"
    """Whole, in the tiles where something moved or was seen, and in one of the others in turn."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a frame, in its pixels; all four are even, so that chroma divides as well."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, planes: Planes) -> Planes:
        """That part of the frame, without a copy."""
        return Planes(
            _part(planes.luma, self.left, self.top, self.width, self.height),
            *(
                _part(plane, self.left // 2, self.top // 2, self.width // 2, self.height // 2)
                for plane in (planes.blue, planes.red)
            ),
        )


def _part(plane: Plane, left: int, top: int, width: int, height: int) -> Plane:
    return plane[top : top + height, left : left + width]


def tiles_of(width: int, height: int, tile_width: int) -> tuple[Tile, ...]:
    """The tiles of a frame, row by row: as many in a row as in a column, with the frame's proportions.

    Args:
        width: of the frame, pixels, even.
        height: of the frame, pixels, even.
        tile_width: about how wide a tile is, pixels.

    Returns:
        None for a frame that is hardly wider than a tile; at most MOST_IN_A_ROW squared.
    """
    count = 1
    while count < MOST_IN_A_ROW and width / _spans(count) > tile_width * TOLERANCE:
        count += 1
    if count == 1:
        return ()
    across, down = _even(width / _spans(count)), _even(height / _spans(count))
    lefts, tops = _spread(width - across, count), _spread(height - down, count)
    return tuple(Tile(left, top, across, down) for top in tops for left in lefts)


def _spans(count: int) -> float:
    """How many tiles fit side by side into what `count` overlapping ones cover."""
    return count - (count - 1) * OVERLAP


def _spread(last: int, count: int) -> list[int]:
    return [_even(last * step / (count - 1)) for step in range(count)]


def _even(value: float) -> int:
    return 2 * math.ceil(value / 2)


class Attention:
    """Which tiles of one optic are looked at. Frames come in the order of their times.

    Args:
        tiling: see Tiling.
        tile_width: see tiles_of.
    """

    def __init__(self, tiling: Tiling = Tiling.OFF, tile_width: int = TILE_WIDTH) -> None:
        self._tiling = tiling
        self._tile_width = tile_width
        self._size: tuple[int, ...] = ()
        self._tiles: tuple[Tile, ...] = ()
        self._seen: Plane | None = None
        self._busy: npt.NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._turn = 0

    def choose(self, planes: Planes) -> tuple[Tile, ...]:
        """The tiles to look at in this frame, beside the whole of it."""
        if self._tiling is Tiling.OFF:
            return ()
        if planes.luma.shape != self._size:
            self._size = planes.luma.shape
            self._tiles = tiles_of(planes.luma.shape[1], planes.luma.shape[0], self._tile_width)
            self._seen = None
        if self._tiling is Tiling.GRID or not self._tiles:
            return self._tiles
        wanted = self._moving(planes.luma) | self._busy
        self._turn = (self._turn + 1) % len(self._tiles)
        wanted[self._turn] = True
        return tuple(tile for tile, chosen in zip(self._tiles, wanted, strict=True) if chosen)

    def found(self, detections: Detections, score: float) -> None:
        """Remember where something was, so that who stands still is not lost.

        Args:
            detections: of the frame of the last choice, pixels of the frame.
            score: from here on something is taken to be there.
        """
        boxes = detections.boxes[detections.scores >= score]
        centres = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, dtype=np.float32)
        self._busy = np.array([bool(_inside(tile, centres).any()) for tile in self._tiles], dtype=np.bool_)

    def _moving(self, luma: Plane) -> npt.NDArray[np.bool_]:
        """For each tile whether something in it differs from the frame before; all of them in the first."""
        thumbnail = np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        before, self._seen = self._seen, thumbnail
        if before is None:
            self._busy = np.zeros(len(self._tiles), dtype=np.bool_)
            return np.ones(len(self._tiles), dtype=np.bool_)
        rows, columns = np.nonzero(cv2.absdiff(thumbnail, before) >= MOVED)
        height, width = luma.shape
        scale = np.array([width / THUMBNAIL[0], height / THUMBNAIL[1]], dtype=np.float32)
        moved = (np.stack([columns, rows], axis=1) + np.float32(0.5)) * scale
        return np.array([bool(_inside(tile, moved).any()) for tile in self._tiles], dtype=np.bool_)


def _inside(tile: Tile, points: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    offset = points - np.array([tile.left, tile.top], dtype=np.float32)
    within = (offset >= 0) & (offset < np.array([tile.width, tile.height]))
    return np.asarray(within.all(axis=1), dtype=np.bool_)


def merge(
    whole: Detections, parts: Sequence[tuple[Tile, Detections]], width: int, height: int, overlap: float
) -> Detections:
    """What the looks at one frame say together.

    A box that was cut at a tile's border is dropped when a whole one of its class covers it; otherwise it stays, since
    a box too many costs a bit of street. Then of two boxes of a class on one object the better is left.

    Args:
        whole: of the whole frame, pixels of the frame.
        parts: of its tiles, pixels of the tile.
        width: of the frame, pixels.
        height: of the frame, pixels.
        overlap: see HeadParameters.
    """
    if not parts:
        return whole
    cut = [np.zeros(len(whole), dtype=np.bool_)]
    found = [whole]
    for tile, detections in parts:
        boxes = detections.boxes + np.array([tile.left, tile.top] * 2, dtype=np.float32)
        cut.append(_cut(boxes, tile, width, height))
        found.append(Detections(boxes, detections.scores, detections.classes))
    together = Detections(
        np.concatenate([each.boxes for each in found]),
        np.concatenate([each.scores for each in found]),
        np.concatenate([each.classes for each in found]),
    )
    kept = together.where(~_covered(together, np.concatenate(cut)))
    return suppress(ordered(kept.boxes, kept.scores, kept.classes), overlap)


def _cut(boxes: Boxes, tile: Tile, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Which boxes, in pixels of the frame, end at a border of the tile that is not the frame's."""
    right, bottom = tile.left + tile.width, tile.top + tile.height
    cut: npt.NDArray[np.bool_] = (
        ((boxes[:, 0] <= tile.left + BORDER) & (tile.left > 0))
        | ((boxes[:, 1] <= tile.top + BORDER) & (tile.top > 0))
        | ((boxes[:, 2] >= right - BORDER) & (right < width))
        | ((boxes[:, 3] >= bottom - BORDER) & (bottom < height))
    )
    return cut


def _covered(detections: Detections, cut: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of the cut boxes lie for the most part in a whole one of their class."""
    covered = np.zeros(len(detections), dtype=np.bool_)
    parts, entire = detections.where(cut), detections.where(~cut)
    if not len(parts) or not len(entire):
        return covered
    corner = np.minimum(parts.boxes[:, None, 2:], entire.boxes[:, 2:])
    sides = np.maximum(corner - np.maximum(parts.boxes[:, None, :2], entire.boxes[:, :2]), 0.0)
    share = sides[..., 0] * sides[..., 1] >= COVERED * areas(parts.boxes)[:, None]
    covered[cut] = (share & (parts.classes[:, None] == entire.classes)).any(axis=1)
    return covered
