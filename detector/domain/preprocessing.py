"""From the planes of a decoded frame to the input of a network, and back from its pixels to the frame's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from detector.domain.detections import Boxes

SIZE_STEP: Final = 32
"""Networks halve their input five times; a side that 32 does not divide would shift the last maps."""

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Planes:
    """A frame as I420: one full-size luma plane, two chroma planes of half its width and height.

    Attributes:
        luma: uint8, height x width, both even.
        blue: uint8, height / 2 x width / 2, Cb.
        red: the same, Cr.
    """

    luma: Plane
    blue: Plane
    red: Plane

    @classmethod
    def unpack(cls, width: int, height: int, data: bytes) -> Planes:
        """The planes over these bytes, without a copy: luma, Cb, Cr, row by row, without padding.

        Raises:
            ValueError: a side is odd or not positive, or there are more or fewer bytes than that.
        """
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ValueError(f"{width} x {height} pixels: both sides must be even and more than 0")
        pixels = width * height
        if len(data) != pixels * 3 // 2:
            raise ValueError(f"{len(data)} bytes, but {width} x {height} pixels take {pixels * 3 // 2}")
        chroma = (height // 2, width // 2)
        return cls(
            np.frombuffer(data, np.uint8, pixels).reshape(height, width),
            np.frombuffer(data, np.uint8, pixels // 4, pixels).reshape(chroma),
            np.frombuffer(data, np.uint8, pixels // 4, pixels + pixels // 4).reshape(chroma),
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in the network's input: stretched over all of it. All lengths in pixels."""

    frame_width: int
    frame_height: int
    network_width: int
    network_height: int

    @classmethod
    def fit(cls, frame_width: int, frame_height: int, pixels: int) -> Placement:
        """The network size of about `pixels` pixels that keeps a frame's proportions best.

        Of the sizes in steps of 32, not above the budget by more than a thirtieth, the one that changes the
        proportions least, and of equals the largest. A bar beside the picture would cost as much as picture does.
        """
        wanted = frame_width / frame_height
        ceiling = pixels * 31 / 30
        best, best_cost = (SIZE_STEP, SIZE_STEP), math.inf
        for height in range(SIZE_STEP, int(ceiling // SIZE_STEP) + 1, SIZE_STEP):
            width = round(height * wanted / SIZE_STEP) * SIZE_STEP
            if width < SIZE_STEP or width * height > ceiling:
                continue
            distortion = abs(math.log(width / height / wanted))
            cost = distortion + 0.5 * abs(math.log(width * height / pixels))
            if cost < best_cost:
                best, best_cost = (width, height), cost
        return cls(frame_width, frame_height, *best)

    def to_frame(self, boxes: Boxes) -> Boxes:
        """Boxes in network pixels -> frame pixels, cut at the frame's edges; float32, N x 4."""
        scale_x = self.frame_width / self.network_width
        scale_y = self.frame_height / self.network_height
        scaled = boxes * np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
        limit = np.array([self.frame_width, self.frame_height] * 2, dtype=np.float32)
        return np.clip(scaled, 0.0, limit).astype(np.float32)


def fill(planes: Planes, placement: Placement, image: npt.NDArray[np.uint8]) -> None:
    """Write a frame into one image of a network's input.

    Args:
        planes: the frame.
        placement: made for this frame's size.
        image: uint8, 3 x network_height x network_width, written in place: Y, Cb, Cr at full size. The conversion
            to RGB is part of the network's first layer (see detector.catalogue.tfjs).
    """
    size = (placement.network_width, placement.network_height)
    for target, plane in zip(image, (planes.luma, planes.blue, planes.red), strict=True):
        cv2.resize(plane, size, dst=target, interpolation=cv2.INTER_LINEAR)
