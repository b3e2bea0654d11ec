"""Pictures of a paved square, in clear air, in smoke, on fire, under water, in fog."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from detector.domain.picture import Picture
from detector.domain.scene import Presence, Scene

WIDTH, HEIGHT = 192, 112
"""Of the small pictures; the scenes that they belong to are four times as large."""
RATE = 2.5
Region = tuple[slice, slice]
MIDDLE: Region = (slice(40, 80), slice(64, 128))
"""Rows and columns of the middle of the picture."""
Planes = npt.NDArray[np.float64]


class Square:
    """A square with paving that does not change, and a camera with a little noise."""

    def __init__(self, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._paving = 110.0 + 30.0 * self._random.standard_normal((HEIGHT, WIDTH))
        self._blue = np.full((HEIGHT, WIDTH), 120.0)
        self._red = np.full((HEIGHT, WIDTH), 134.0)

    def planes(self) -> tuple[Planes, Planes, Planes]:
        noise = self._random.standard_normal((HEIGHT, WIDTH))
        return self._paving + noise, self._blue.copy(), self._red.copy()

    def clear(self, _number: int) -> Picture:
        return picture(*self.planes())

    def smoke(self, region: Region, density: float = 0.85) -> Callable[[int], Picture]:
        """Smoke that drifts: its density and shade are never quite the same."""

        def at(_number: int) -> Picture:
            luma, blue, red = self.planes()
            shade = 150.0 + 12.0 * self._random.standard_normal()
            for plane, colour in ((luma, shade), (blue, 128.0), (red, 128.0)):
                plane[region] += density * (colour - plane[region])
            return picture(luma, blue, red)

        return at

    def fire(self, region: Region) -> Callable[[int], Picture]:
        def at(_number: int) -> Picture:
            luma, blue, red = self.planes()
            luma[region] = 190.0 + 30.0 * self._random.standard_normal()
            blue[region], red[region] = 70.0, 180.0
            return picture(luma, blue, red)

        return at

    def water(self, region: Region) -> Callable[[int], Picture]:
        def at(_number: int) -> Picture:
            luma, blue, red = self.planes()
            luma[region] = 165.0 + self._random.standard_normal(luma[region].shape)
            return picture(luma, blue, red)

        return at

    def lamp(self, region: Region) -> Callable[[int], Picture]:
        """A warm, bright, steady light, as of a shop window."""

        def at(_number: int) -> Picture:
            luma, blue, red = self.planes()
            luma[region], blue[region], red[region] = 200.0, 70.0, 180.0
            return picture(luma, blue, red)

        return at

    def fog(self, share: float) -> Callable[[int], Picture]:
        """So much of the contrast is left, everywhere."""

        def at(_number: int) -> Picture:
            luma, blue, red = self.planes()
            return picture(170.0 + share * (luma - 170.0), blue, red)

        return at


def picture(luma: Planes, blue: Planes, red: Planes) -> Picture:
    first, second, third = (np.clip(np.round(plane), 0, 255).astype(np.uint8) for plane in (luma, blue, red))
    return Picture(first, second, third)


def scenes(
    look: Callable[[int], Picture], seconds: float, *, start: float = 0.0, present: tuple[Presence, ...] = ()
) -> Iterator[Scene]:
    for number in range(round(seconds * RATE)):
        yield Scene(start + number / RATE, 4 * WIDTH, 4 * HEIGHT, present, picture=look(number))
