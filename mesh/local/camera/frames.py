"""Decoded pictures of video files on the camera's clock: one file, thinned out; or several as a mosaic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mesh.local.camera.clip import open_video
from mesh.local.camera.effects import Effect, Picture, painter
from mesh.local.camera.sdp import CLOCK_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

    import av
    from av.container import InputContainer


@dataclass(frozen=True)
class Look:
    """How the pictures of a stream are changed by a fault.

    Attributes:
        effect: the change.
        tile: of a mosaic, the optic that is changed, from 1; None: the whole picture.
    """

    effect: Effect = Effect.NONE
    tile: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether the last key frame is shown again and again, so that no clip of its own is needed."""
        return self.effect is Effect.FREEZE and self.tile is None


PLAIN: Final = Look()


def frames_of(container: InputContainer, rate: Fraction) -> Iterator[tuple[av.VideoFrame, int]]:
    """Decoded frames with strictly increasing 90 kHz timestamps from 0; missing ones follow the frame rate.

    Args:
        container: an open video.
        rate: of the file, in frames per second.
    """
    step = max(1, round(CLOCK_RATE / rate))
    origin: int | None = None
    last = -step
    for frame in container.decode(container.streams.video[0]):
        ticks = last + step
        if frame.pts is not None and frame.time_base is not None:
            own = round(frame.pts * frame.time_base * CLOCK_RATE)
            origin = own if origin is None else origin
            ticks = own - origin if own - origin > last else ticks
        last = ticks
        yield frame, ticks


def thinned(frames: Iterator[tuple[av.VideoFrame, int]], rate: Fraction) -> Iterator[tuple[av.VideoFrame, int]]:
    """At most so many frames per second, their times unchanged."""
    step, due = CLOCK_RATE / rate, 0.0
    for frame, ticks in frames:
        if ticks >= due:
            due = max(due + float(step), ticks - float(step) + 1.0)
            yield frame, ticks


def pictures_of(
    path: Path, look: Look, size: tuple[int, int], *, file_rate: Fraction, rate: Fraction
) -> Iterator[tuple[Picture, int]]:
    """The pictures of a file with a fault's effect.

    Args:
        path: of the file.
        look: the effect.
        size: width and height in pixels.
        file_rate: frames per second of the file.
        rate: at most so many are wanted.

    Yields:
        The picture, (height, width, 3) uint8 RGB, and its time in 90 kHz ticks.
    """
    paint = painter(look.effect)
    with open_video(path) as container:
        for frame, ticks in thinned(frames_of(container, file_rate), rate):
            yield paint(frame.to_ndarray(format="rgb24", width=size[0], height=size[1]).astype(np.uint8)), ticks


def grid(count: int) -> tuple[int, int]:
    """Columns and rows of a mosaic of so many optics, filled row by row."""
    columns = math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def mosaic_of(
    paths: Sequence[Path], look: Look, tile: tuple[int, int], *, rate: Fraction
) -> Iterator[tuple[Picture, int]]:
    """Several videos side by side, as a multi-optic camera sends them in one stream; ends with the shortest.

    Args:
        paths: one per optic.
        look: the effect, on one tile or on all.
        tile: width and height of each, in pixels.
        rate: frames per second, of the mosaic and assumed of files that do not say.

    Yields:
        The picture, (height, width, 3) uint8 RGB, and its time in 90 kHz ticks.
    """
    columns, rows = grid(len(paths))
    step = round(CLOCK_RATE / rate)
    optics = [
        _held(
            pictures_of(
                path, look if look.tile in {None, number} else PLAIN, tile, file_rate=_rate(path, rate), rate=rate
            ),
            step,
        )
        for number, path in enumerate(paths, 1)
    ]
    for number, pictures in enumerate(zip(*optics, strict=False)):
        canvas = np.full((rows * tile[1], columns * tile[0], 3), 16, np.uint8)
        for place, picture in enumerate(pictures):
            top, left = place // columns * tile[1], place % columns * tile[0]
            canvas[top : top + tile[1], left : left + tile[0]] = picture
        yield canvas, number * step


def _rate(path: Path, fallback: Fraction) -> Fraction:
    with open_video(path) as container:
        return container.streams.video[0].average_rate or fallback


def _held(pictures: Iterator[tuple[Picture, int]], step: int) -> Iterator[Picture]:
    """The newest picture at each multiple of ``step`` ticks."""
    due, held = 0, None
    for picture, ticks in pictures:
        while held is not None and due < ticks:
            yield held
            due += step
        held = picture
    if held is not None:
        yield held
