"""The Y plane of a picture at a small size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]
"""(height, width) uint8."""


def shrunk(luma: Luma, width: int, height: int) -> Any:
    """The plane at ``width`` x ``height``, (height, width) uint8, every pixel of it counting.

    Halved as often as it goes and then interpolated: OpenCV halves at memory speed, while averaging 768x576 down to
    160x90 in one step takes twenty times as long.
    """
    small = luma
    while small.shape[1] >= 2 * width and small.shape[0] >= 2 * height:
        half = (small.shape[1] // 2, small.shape[0] // 2)
        small = cv2.resize(small, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # of the same type
    if small is not luma and small.shape == (height, width):
        return small
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
