"""A decoded frame as planes, where it lies in the input of a network, and back from the network's pixels to its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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
    """Where a frame lies in the network's input: stretched over all of it, or over what its bars leave free.

    Attributes:
        frame_width: pixels.
        frame_height: pixels.
        network_width: pixels, with the bars.
        network_height: pixels, with the bars.
        left: width of the bar on the left, network pixels.
        top: and so on.
        right: and so on.
        bottom: and so on.
    """

    frame_width: int
    frame_height: int
    network_width: int
    network_height: int
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height of the frame inside the input, in network pixels."""
        return self.network_width - self.left - self.right, self.network_height - self.top - self.bottom

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

    @classmethod
    def letterbox(
        cls, frame_width: int, frame_height: int, network_width: int, network_height: int, *, centred: bool
    ) -> Placement:
        """As large as fits without changing the proportions; the rest is bars.

        Args:
            frame_width: pixels.
            frame_height: pixels.
            network_width: pixels.
            network_height: pixels.
            centred: whether the bars are on both sides (an odd pixel goes right or below), or only right and below.
        """
        ratio = min(network_width / frame_width, network_height / frame_height)
        across = network_width - max(1, round(frame_width * ratio))
        down = network_height - max(1, round(frame_height * ratio))
        left, top = (across // 2, down // 2) if centred else (0, 0)
        return cls(frame_width, frame_height, network_width, network_height, left, top, across - left, down - top)

    def to_frame(self, boxes: Boxes) -> Boxes:
        """Boxes in network pixels -> frame pixels, cut at the frame's edges; float32, N x 4."""
        width, height = self.picture
        scale_x, scale_y = self.frame_width / width, self.frame_height / height
        origin = np.array([self.left, self.top] * 2, dtype=np.float32)
        scaled: Boxes = (boxes - origin) * np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
        limit = np.array([self.frame_width, self.frame_height] * 2, dtype=np.float32)
        cut: Boxes = np.clip(scaled, 0.0, limit).astype(np.float32)
        return cut
