"""A small copy of a frame, for what looks at the picture itself: visibility, smoke, water, colours, light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.preprocessing import Planes

PICTURE_WIDTH: Final = 192
"""Pixels: a car that fills a twentieth of the frame's width still covers ten of them, and a picture is 60 kB."""

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame at a small size, all planes at the same resolution.

    Attributes:
        luma: uint8, height x width, limited range (16 black, 235 white) as cameras send it.
        blue: the same, Cb; 128 is neutral.
        red: the same, Cr.
    """

    luma: Image
    blue: Image
    red: Image

    @classmethod
    def of(cls, planes: Planes, width: int = PICTURE_WIDTH) -> Picture:
        """A frame, shrunk to a width, at its aspect ratio; a smaller one keeps its size."""
        height, full = planes.luma.shape
        width = min(width, full)
        size = (width, max(1, round(height * width / full)))
        luma, blue, red = (
            cv2.resize(np.asarray(plane), size, interpolation=cv2.INTER_AREA)
            for plane in (planes.luma, planes.blue, planes.red)
        )
        return cls(np.asarray(luma, np.uint8), np.asarray(blue, np.uint8), np.asarray(red, np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.luma.shape[1], self.luma.shape[0]

    @property
    def light_level(self) -> float:
        """Mean brightness, 0 (black) to 1 (white)."""
        return float(np.clip((self.luma.mean() - 16.0) / (235.0 - 16.0), 0.0, 1.0))


def zone_mask(zone: tuple[Point, ...], width: int, height: int) -> Mask:
    """Which pixels of a picture of this size lie in a zone; its corners are normalised."""
    mask = np.zeros((height, width), np.uint8)
    corners = np.array([(x * width, y * height) for x, y in zone])
    cv2.fillPoly(mask, [np.round(corners - 0.5).astype(np.int32)], 1)
    return mask.astype(np.bool_)
