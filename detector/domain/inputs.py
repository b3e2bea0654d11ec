"""From frames to the tensor that a network takes. One class per kind of input, with one interface."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from detector.domain.preprocessing import Placement

if TYPE_CHECKING:
    from detector.domain.heads import Axes
    from detector.domain.preprocessing import Plane, Planes

Batch = npt.NDArray[Any]
"""The frames of a batch on the first axis; what follows, and the dtype, is the network's."""


class NetworkInput(Protocol):
    """What a network wants to see."""

    @property
    def axes(self) -> Axes:
        """The shape of the input, frames first."""

    @property
    def dtype(self) -> str:
        """Its type, by numpy's name."""

    def place(self, width: int, height: int) -> Placement:
        """Where a frame of this size, in pixels, lies in the input."""

    def shape(self, placement: Placement) -> tuple[int, ...]:
        """The shape of one frame in the input."""

    def pack(self, frames: Sequence[Planes], placement: Placement, batch: Batch) -> None:
        """Write these frames, which all have the size that `placement` is made for, into the input.

        Args:
            frames: one for each place in the batch.
            placement: see place.
            batch: of the network's dtype, frames x shape; whatever it held is overwritten.
        """


@dataclass(frozen=True, slots=True)
class PlanarInput:
    """Y, Cb, Cr at full size, uint8, N x 3 x H x W, BT.601 limited range; the size follows the frame's proportions.

    The conversion to RGB is part of the network's first layer (see detector.catalogue.tfjs).

    Attributes:
        pixels: about how many the network looks at, see Placement.fit.
    """

    pixels: int

    @property
    def axes(self) -> Axes:
        """See NetworkInput."""
        return None, 3, None, None

    @property
    def dtype(self) -> str:
        """See NetworkInput."""
        return "uint8"

    def place(self, width: int, height: int) -> Placement:
        """See NetworkInput."""
        return Placement.fit(width, height, self.pixels)

    def shape(self, placement: Placement) -> tuple[int, ...]:
        """See NetworkInput."""
        return 3, placement.network_height, placement.network_width

    def pack(self, frames: Sequence[Planes], placement: Placement, batch: Batch) -> None:
        """See NetworkInput."""
        for image, planes in zip(batch, frames, strict=True):
            for target, plane in zip(image, (planes.luma, planes.blue, planes.red), strict=True):
                cv2.resize(plane, placement.picture, dst=target, interpolation=cv2.INTER_LINEAR)


class Fitting(enum.StrEnum):
    """How a frame is brought to a fixed size."""

    STRETCH = "stretch"
    """Over all of the input; the proportions change."""
    LETTERBOX_CENTRE = "letterbox-centre"
    """Proportions kept, bars on both sides."""
    LETTERBOX_CORNER = "letterbox-corner"
    """Proportions kept, bars on the right or below."""


@dataclass(frozen=True, slots=True)
class ColourInput:
    """Three colour channels at a fixed size.

    A value is (pixel - mean) * scale, a pixel 0..255, converted from BT.601 limited range.

    Attributes:
        width: pixels.
        height: pixels.
        channels_first: N x 3 x H x W; otherwise N x H x W x 3.
        blue_first: channels are blue, green, red; otherwise red, green, blue.
        mean: of each channel, in the network's order.
        scale: of each channel, in the network's order.
        fitting: see Fitting.
        padding: pixel value of the bars, 0..255, the same in all channels.
        dtype: numpy's name: uint8, float16 or float32. For uint8, mean and scale must change nothing.
    """

    width: int
    height: int
    channels_first: bool = True
    blue_first: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fitting: Fitting = Fitting.STRETCH
    padding: int = 0
    dtype: str = "float32"

    @property
    def axes(self) -> Axes:
        """See NetworkInput."""
        size = (self.height, self.width)
        return (None, 3, *size) if self.channels_first else (None, *size, 3)

    def place(self, width: int, height: int) -> Placement:
        """See NetworkInput."""
        if self.fitting is Fitting.STRETCH:
            return Placement(width, height, self.width, self.height)
        centred = self.fitting is Fitting.LETTERBOX_CENTRE
        return Placement.letterbox(width, height, self.width, self.height, centred=centred)

    def shape(self, placement: Placement) -> tuple[int, ...]:
        """See NetworkInput."""
        channels_last = (placement.network_height, placement.network_width, 3)
        return (3, *channels_last[:2]) if self.channels_first else channels_last

    def pack(self, frames: Sequence[Planes], placement: Placement, batch: Batch) -> None:
        """See NetworkInput."""
        images = np.full((len(frames), self.height, self.width, 3), self.padding, dtype=np.uint8)
        rows = slice(placement.top, self.height - placement.bottom)
        columns = slice(placement.left, self.width - placement.right)
        for image, planes in zip(images, frames, strict=True):
            colours = cv2.cvtColor(_stacked(planes), _CONVERSIONS[self.blue_first])
            image[rows, columns] = cv2.resize(colours, placement.picture, interpolation=cv2.INTER_LINEAR)
        ordered = images.transpose(0, 3, 1, 2) if self.channels_first else images
        if self.dtype == "uint8":
            batch[:] = ordered
            return
        shape = (3, 1, 1) if self.channels_first else (3,)
        mean, scale = (np.array(each, np.float32).reshape(shape) for each in (self.mean, self.scale))
        batch[:] = (ordered - mean) * scale


_CONVERSIONS: Final = {False: cv2.COLOR_YUV2RGB_I420, True: cv2.COLOR_YUV2BGR_I420}


def _stacked(planes: Planes) -> Plane:
    """The planes as one, the way OpenCV takes I420: uint8, height * 3 / 2 x width."""
    height, width = planes.luma.shape
    parts = [plane.ravel() for plane in (planes.luma, planes.blue, planes.red)]
    return np.concatenate(parts).reshape(height * 3 // 2, width)
