"""Raw pictures, and the masked pictures that are made of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
"""One plane of a picture: rows x columns, uint8, BT.601 limited range."""

MINIMUM_SIDE: Final = 32
"""Pixels; a smaller picture has no room for cells."""
MAXIMUM_SIDE: Final = 4096
"""Pixels; a larger picture is no analysis picture, and its buffers would starve the other optics."""


class UnsupportedFrameError(ValueError):
    """The caller's planes do not form a picture that can be masked."""


@dataclass(frozen=True, slots=True)
class Size:
    """Extent of a picture in pixels; both sides are even.

    Raises:
        UnsupportedFrameError: a side is odd, too short or too long.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if side % 2 or not MINIMUM_SIDE <= side <= MAXIMUM_SIDE:
                raise UnsupportedFrameError(
                    f"{self.width}x{self.height}: both sides must be even, from {MINIMUM_SIDE} to {MAXIMUM_SIDE}"
                )

    @property
    def byte_count(self) -> int:
        """Bytes of an I420 picture of this size."""
        return self.width * self.height * 3 // 2


@dataclass(frozen=True, slots=True)
class Planes:
    """An I420 picture.

    Attributes:
        luma: height x width.
        blue: height/2 x width/2, Cb.
        red: height/2 x width/2, Cr.
    """

    luma: Plane
    blue: Plane
    red: Plane

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, size: Size) -> Planes:
        """Views of a buffer that holds the three planes one after the other, without padding.

        Raises:
            UnsupportedFrameError: the buffer is not as long as the size says.
        """
        if len(data) != size.byte_count:
            raise UnsupportedFrameError(f"{len(data)} bytes do not make {size.width}x{size.height} in I420")
        flat = np.frombuffer(data, np.uint8)
        luma_end, blue_end = size.width * size.height, size.width * size.height * 5 // 4
        half = (size.height // 2, size.width // 2)
        return cls(
            flat[:luma_end].reshape(size.height, size.width),
            flat[luma_end:blue_end].reshape(half),
            flat[blue_end:].reshape(half),
        )

    @classmethod
    def filled(cls, size: Size, luma: int, blue: int, red: int) -> Planes:
        """A picture of one colour."""
        half = (size.height // 2, size.width // 2)
        return cls(
            np.full((size.height, size.width), luma, np.uint8),
            np.full(half, blue, np.uint8),
            np.full(half, red, np.uint8),
        )

    @property
    def size(self) -> Size:
        """The extent of the luma plane."""
        return Size(self.luma.shape[1], self.luma.shape[0])


@dataclass(frozen=True, slots=True)
class Frame:
    """One raw picture of an optic. It never leaves memory.

    Attributes:
        sequence: its number within the stream; a verdict belongs to it by this number alone.
        captured: capture time in seconds since the epoch of the stream's clock.
        planes: the picture.
    """

    sequence: int
    captured: float
    planes: Planes


class Basis(enum.Enum):
    """What a mask rests on."""

    VERDICT = "verdict"
    """The verdict of this very frame, and the plate."""
    UNVERDICTED = "unverdicted"
    """The plate and motion alone: there was no verdict for this frame."""
    WHOLE_PICTURE = "whole_picture"
    """Nothing: the whole picture is masked."""


_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class MaskedFrame:
    """A picture that shows nothing but the plate and solid fill.

    Only `MaskedFrame.compose` and `MaskedFrame.blank` make one, and neither takes the pixels of a raw frame; what
    encodes accepts nothing else. So a raw picture cannot reach the encoder by mistake.

    Attributes:
        sequence: the number of the raw frame that it stands for.
        captured: that frame's capture time in seconds.
        planes: the picture.
        masked_fraction: the share of the picture that is filled, 0..1.
        basis: what the mask rests on.
    """

    sequence: int
    captured: float
    planes: Planes
    masked_fraction: float
    basis: Basis
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("a masked frame is made by MaskedFrame.compose or MaskedFrame.blank")

    @classmethod
    def compose(cls, frame: Frame, planes: Planes, masked_fraction: float, basis: Basis) -> MaskedFrame:
        """Stands for `frame` with the planes that were painted for it.

        Raises:
            ValueError: the planes share memory with the raw frame, or differ from it in size.
        """
        pairs = (
            (planes.luma, frame.planes.luma),
            (planes.blue, frame.planes.blue),
            (planes.red, frame.planes.red),
        )
        if any(np.may_share_memory(painted, raw) for painted, raw in pairs):
            raise ValueError("painted planes lie in the raw frame's memory")
        if planes.size != frame.planes.size:
            raise ValueError(f"painted {planes.size}, raw {frame.planes.size}")
        return cls(frame.sequence, frame.captured, planes, masked_fraction, basis, _SEAL)

    @classmethod
    def blank(cls, sequence: int, captured: float, size: Size) -> MaskedFrame:
        """Stands for a frame of which nothing may be shown; its pixels are not looked at."""
        return cls(sequence, captured, Planes.filled(size, 48, 128, 128), 1.0, Basis.WHOLE_PICTURE, _SEAL)
