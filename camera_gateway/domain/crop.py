"""Which part of a stream's picture is an optic's: a device may send several optics side by side in one picture."""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture in normalised coordinates: origin top left, sides from 0 to 1.

    Raises:
        ValueError: it is empty or reaches outside the picture.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        inside = 0 <= self.left < 1 and 0 <= self.top < 1 and self.width > 0 and self.height > 0
        # The sum of two rounded numbers may exceed 1 by a rounding.
        if not inside or self.left + self.width > 1 + 1e-6 or self.top + self.height > 1 + 1e-6:
            raise ValueError("the crop is empty or reaches outside the picture")

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height in a picture of ``width`` x ``height`` pixels (at least 2 x 2).

        All four are even, since two rows and columns of luma share one of chroma, and no pixel outside is taken: the
        neighbour's picture must not show at the edge.
        """
        left, columns = _span(self.left, self.width, width)
        top, rows = _span(self.top, self.height, height)
        return left, top, columns, rows


WHOLE: Final = Crop(0.0, 0.0, 1.0, 1.0)


def _span(start: float, length: float, size: int) -> tuple[int, int]:
    # A hair of tolerance, so that 1/3 of 960 is 320 and not 318.
    first = -int(-(start * size - 1e-3) // 2) * 2
    last = int((min(1.0, start + length) * size + 1e-3) // 2) * 2
    first = max(0, min(first, size // 2 * 2 - 2))
    return first, max(2, last - first)
