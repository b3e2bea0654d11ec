"""How a scene looks, cell by cell, and how it usually looks: what smoke, water and fog change.

Cells are small squares of a `Picture`. Of each the detail (mean gradient), the brightness, the distance of its colour
from grey, and the flicker of the last seconds are measured, and the first three are learned slowly. What lies under a
detected object teaches nothing and is judged as usual: people who queue are no smoke.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector.domain.picture import Mask, Picture

CELL: Final = 8
"""Pixels of the small picture."""
LEARNING_SECONDS: Final = 60.0
"""So much has to be seen before anything is said."""
MEMORY_SECONDS: Final = 1800.0
"""Time constant of what is learned: slower than fog comes in, quicker than dusk."""
FLICKER_SECONDS: Final = 2.0
"""Time constant of the mean that counts as flicker."""
LONGEST_STEP_SECONDS: Final = 5.0
"""A gap speaks for no more than this."""

Cells = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Look:
    """One frame, cell by cell; all arrays are rows x columns.

    Attributes:
        detail: mean absolute gradient of the luma, levels per pixel.
        brightness: mean luma.
        colour: mean distance of the chroma from grey.
        warmth: mean of Cr minus Cb: positive is towards red and yellow.
        flicker: mean change of the brightness from frame to frame over the last seconds.
        covered: whether a detected object lies there.
        learned: what is usual; None: too little was seen yet.
    """

    detail: Cells
    brightness: Cells
    colour: Cells
    warmth: Cells
    flicker: Cells
    covered: Flags
    learned: Usual | None


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of each cell; see Look."""

    detail: Cells
    brightness: Cells
    colour: Cells


class Texture:
    """What is usual in one optic, and what each frame shows. Frames come in the order of their times."""

    def __init__(self) -> None:
        self._usual: Usual | None = None
        self._seen = 0.0
        self._last: float | None = None
        self._before: Cells | None = None
        self._flicker: Cells | None = None
        self._lesson: tuple[Usual, Flags, float] | None = None
        """What the latest frame may teach, which the next one takes to heart."""

    def ignore(self) -> None:
        """The latest frame is to teach nothing: something unusual goes on."""
        self._lesson = None

    def step(self, time: float, picture: Picture, boxes: Iterable[tuple[float, float, float, float]]) -> Look:
        """Take one frame.

        Args:
            time: capture time, seconds.
            picture: of the frame.
            boxes: of detected objects; left, top, right, bottom, shares of width and height.
        """
        detail, brightness, colour, warmth = _measured(picture)
        covered = _covered(boxes, detail.shape)
        if self._before is None or self._before.shape != brightness.shape:
            self._usual, self._seen, self._last, self._lesson = None, 0.0, None, None
            self._before, self._flicker = brightness, np.zeros_like(brightness)
        passed = 0.0 if self._last is None else min(max(0.0, time - self._last), LONGEST_STEP_SECONDS)
        self._last = time if self._last is None else max(self._last, time)
        flicker = self._flickering(brightness, passed)
        if self._lesson:
            self._learn(*self._lesson)
        self._lesson = Usual(detail, brightness, colour), covered, passed
        learned = self._usual if self._seen >= LEARNING_SECONDS else None
        return Look(detail, brightness, colour, warmth, flicker, covered, learned)

    def _flickering(self, brightness: Cells, passed: float) -> Cells:
        assert self._before is not None
        assert self._flicker is not None
        # From frame to frame: a scene that has become brighter once does not flicker.
        weight = 1.0 - np.exp(-passed / FLICKER_SECONDS)
        self._flicker = self._flicker + weight * (np.abs(brightness - self._before) - self._flicker)
        self._before = brightness
        return self._flicker

    def _learn(self, now: Usual, covered: Flags, passed: float) -> None:
        if self._usual is None:
            self._usual = now
            return
        self._seen += passed
        # At first a plain mean, later an exponential one: no cell depends on what the first frame happened to show.
        weight = passed / min(max(self._seen, passed, 1e-9), MEMORY_SECONDS)
        share = np.where(covered, 0.0, min(1.0, weight))
        before = self._usual
        self._usual = Usual(
            before.detail + share * (now.detail - before.detail),
            before.brightness + share * (now.brightness - before.brightness),
            before.colour + share * (now.colour - before.colour),
        )


def cells_of(mask: Mask) -> Flags:
    """The cells of which at least half lies in a mask of the small picture."""
    return _mean_of_cells(mask.astype(np.float32)) >= 0.5  # noqa: PLR2004 - half


def _measured(picture: Picture) -> tuple[Cells, Cells, Cells, Cells]:
    luma = picture.luma.astype(np.float32)
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3)
    blue, red = picture.blue.astype(np.float32) - 128.0, picture.red.astype(np.float32) - 128.0
    # Sobel weighs its neighbours with 8 in all.
    return (
        _mean_of_cells(cv2.magnitude(across, down) / 8.0),
        _mean_of_cells(luma),
        _mean_of_cells(cv2.magnitude(blue, red)),
        _mean_of_cells(red - blue),
    )


def _mean_of_cells(plane: npt.ArrayLike) -> Cells:
    plane = np.asarray(plane, np.float32)
    height, width = plane.shape
    rows, columns = max(1, height // CELL), max(1, width // CELL)
    # What does not fill a cell at the right and lower edge is shared out.
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.float64)


def _covered(boxes: Iterable[tuple[float, float, float, float]], shape: tuple[int, ...]) -> Flags:
    rows, columns = shape
    covered = np.zeros((rows, columns), np.bool_)
    for left, top, right, bottom in boxes:
        first_row, last_row = int(max(0.0, top) * rows), int(np.ceil(min(1.0, bottom) * rows))
        first_column, last_column = int(max(0.0, left) * columns), int(np.ceil(min(1.0, right) * columns))
        covered[first_row:last_row, first_column:last_column] = True
    return covered
