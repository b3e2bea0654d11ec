"""What faults do to pictures, before they are coded. Pure."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mesh.local.camera.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Picture = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""


class Effect(enum.Enum):
    """How a picture differs from what the optic should show."""

    NONE = "none"
    FREEZE = "freeze"
    BLACK = "black"
    BRIGHT = "bright"
    BLUR = "blur"
    FOG = "fog"
    SCENE_CHANGE = "scene-change"
    RESIZE = "resize"


EFFECTS: Final[Mapping[FaultKind, Effect]] = {
    FaultKind(effect.value): effect for effect in Effect if effect is not Effect.NONE
}
"""The effect of each fault that changes the picture."""

_BLUR_SHARE: Final = 0.03
"""Standard deviation of the blur, relative to the picture's width: people lose their outline."""
_BRIGHT_FLOOR: Final = 225
_FOG_LEVEL: Final = 170.0
_FOG_CONTRAST: Final = 0.12
_MOVED_ZOOM: Final = 1.6


class _Freezer:
    def __init__(self) -> None:
        self._first: Picture | None = None

    def __call__(self, picture: Picture) -> Picture:
        if self._first is None:
            self._first = picture.copy()
        return self._first


def _black(picture: Picture) -> Picture:
    return np.full_like(picture, 2)


def _bright(picture: Picture) -> Picture:
    return (picture // 9 + _BRIGHT_FLOOR).astype(np.uint8)


def _blurred(picture: Picture) -> Picture:
    return _as_picture(cv2.GaussianBlur(picture, (0, 0), picture.shape[1] * _BLUR_SHARE))


def _fogged(picture: Picture) -> Picture:
    return (picture * _FOG_CONTRAST + _FOG_LEVEL * (1 - _FOG_CONTRAST)).astype(np.uint8)


def _moved(picture: Picture) -> Picture:
    """What the camera sees after it was turned and knocked: mirrored, tilted and nearer."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 20.0, _MOVED_ZOOM)
    turned = cv2.warpAffine(picture[:, ::-1], turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return _as_picture(turned)


def _as_picture(array: object) -> Picture:
    return np.ascontiguousarray(np.asarray(array, np.uint8))


def _same(picture: Picture) -> Picture:
    return picture


_PAINTERS: Final[Mapping[Effect, Callable[[], Callable[[Picture], Picture]]]] = {
    Effect.NONE: lambda: _same,
    Effect.FREEZE: _Freezer,
    Effect.BLACK: lambda: _black,
    Effect.BRIGHT: lambda: _bright,
    Effect.BLUR: lambda: _blurred,
    Effect.FOG: lambda: _fogged,
    Effect.SCENE_CHANGE: lambda: _moved,
    Effect.RESIZE: lambda: _same,
}


def painter(effect: Effect) -> Callable[[Picture], Picture]:
    """A function that gives each picture of one video the effect, the size unchanged.

    ``FREEZE`` shows the first picture for ever; ``RESIZE`` changes nothing here, the encoder does it.
    """
    return _PAINTERS[effect]()
