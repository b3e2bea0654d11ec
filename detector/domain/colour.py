"""The colour of a vehicle: one of the eleven basic colour terms (Berlin and Kay, 1969). Of vehicles, never of persons.

A coarse attribute that a witness would name too: it is read from the middle of the vehicle's box in a small picture,
and voted on while the track lives. Street light at night makes everything grey or orange, so what is dark counts
little.
"""

from __future__ import annotations

import colorsys
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass

if TYPE_CHECKING:
    from detector.domain.picture import Picture

VEHICLES: Final = frozenset(
    {ObjectClass.CAR, ObjectClass.BUS, ObjectClass.TRUCK, ObjectClass.MOTORCYCLE, ObjectClass.TRAIN}
)
LEAST_PIXELS: Final = 12
"""Of the small picture: fewer say nothing about a colour."""
_MARGIN: Final = 0.2
"""On every side of the box: street, not vehicle."""
_BLACK_VALUE, _WHITE_VALUE, _GREY_SATURATION = 0.22, 0.72, 0.22
_BROWN_VALUE: Final = 0.55
_PINK_SATURATION: Final = 0.55


class VehicleColour(enum.IntEnum):
    """The numbers are those of argo.detector.v1.VehicleColour."""

    UNKNOWN = 0
    BLACK = 1
    GREY = 2
    WHITE = 3
    RED = 4
    ORANGE = 5
    YELLOW = 6
    GREEN = 7
    BLUE = 8
    PURPLE = 9
    PINK = 10
    BROWN = 11


_HUES: Final = (
    (15.0, VehicleColour.RED),
    (40.0, VehicleColour.ORANGE),
    (70.0, VehicleColour.YELLOW),
    (165.0, VehicleColour.GREEN),
    (255.0, VehicleColour.BLUE),
    (290.0, VehicleColour.PURPLE),
    (340.0, VehicleColour.PINK),
    (360.0, VehicleColour.RED),
)
"""Up to which hue, degrees, which colour, when it is neither grey nor brown."""


@dataclass(frozen=True, slots=True)
class ColourVote:
    """What one frame says.

    Attributes:
        colour: of the vehicle.
        weight: how much that is worth, 0 to 1.
    """

    colour: VehicleColour
    weight: float


def look(picture: Picture, box: tuple[float, float, float, float]) -> ColourVote | None:
    """The colour of a vehicle in one frame; None: it is too small, or outside the picture.

    Args:
        picture: the frame, small.
        box: of the vehicle; left, top, right, bottom, shares of width and height.
    """
    width, height = picture.size
    left, top, right, bottom = box
    inset_x, inset_y = _MARGIN * (right - left), _MARGIN * (bottom - top)
    columns = slice(max(0, round((left + inset_x) * width)), max(0, round((right - inset_x) * width)))
    rows = slice(max(0, round((top + inset_y) * height)), max(0, round((bottom - inset_y) * height)))
    luma = picture.luma[rows, columns]
    if luma.size < LEAST_PIXELS:
        return None
    middle = (np.median(luma), np.median(picture.blue[rows, columns]), np.median(picture.red[rows, columns]))
    red, green, blue = _rgb(*(float(value) for value in middle))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    # In the dark all cars are grey: a vote from there hardly counts against one from the light.
    return ColourVote(name(hue * 360.0, saturation, value), 0.1 + 0.9 * value)


def name(hue: float, saturation: float, value: float) -> VehicleColour:
    """The basic colour term of a colour.

    Args:
        hue: degrees.
        saturation: 0 to 1.
        value: 0 to 1.
    """
    if value < _BLACK_VALUE:
        return VehicleColour.BLACK
    if saturation < _GREY_SATURATION:
        return VehicleColour.WHITE if value > _WHITE_VALUE else VehicleColour.GREY
    colour = next(colour for limit, colour in _HUES if hue <= limit)
    if colour in (VehicleColour.ORANGE, VehicleColour.YELLOW) and value < _BROWN_VALUE:
        return VehicleColour.BROWN
    if colour is VehicleColour.RED and value > _WHITE_VALUE and saturation < _PINK_SATURATION:
        return VehicleColour.PINK
    return colour


class ColourVotes:
    """The votes on one vehicle."""

    def __init__(self) -> None:
        self._weights: dict[VehicleColour, float] = {}

    def add(self, vote: ColourVote) -> None:
        """Count a vote."""
        self._weights[vote.colour] = self._weights.get(vote.colour, 0.0) + vote.weight

    def result(self) -> tuple[VehicleColour, float]:
        """The colour with most votes and their share, 0 to 1; unknown without votes."""
        if not self._weights:
            return VehicleColour.UNKNOWN, 0.0
        colour = max(self._weights, key=lambda each: (self._weights[each], -each))
        return colour, self._weights[colour] / sum(self._weights.values())


def _rgb(luma: float, blue: float, red: float) -> tuple[float, float, float]:
    """ITU-R BT.601, limited range, to 0..1."""
    bright, cb, cr = (luma - 16.0) / 219.0, (blue - 128.0) / 224.0, (red - 128.0) / 224.0
    colours = (bright + 1.402 * cr, bright - 0.344136 * cb - 0.714136 * cr, bright + 1.772 * cb)
    first, second, third = (min(1.0, max(0.0, value)) for value in colours)
    return first, second, third
