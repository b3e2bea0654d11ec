"""A high-contrast pattern that wanders through a picture, and ways to find it again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

SIDE: Final = 96
BLOCK: Final = 8
FRAME: Final = (320, 240)
RECOGNISED: Final = 0.6
"""Normalised correlation from which on the pattern counts as seen."""
SEARCHED_PIXELS: Final = 48
"""Neighbouring pixels of one row that, if light and dark as in the pattern, are no coincidence."""
PICTURE_FILES: Final = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0\x00\x10JFIF",
    b"ftypiso",
    b"ftypmp42",
    b"\x1aE\xdf\xa3",
)
"""The first bytes of pictures and films that anybody could open."""


def tile() -> Image:
    """SIDE x SIDE, uint8: random black and white blocks."""
    blocks = np.random.default_rng(7).integers(0, 2, (SIDE // BLOCK, SIDE // BLOCK), np.uint8)
    return np.kron(blocks * 219 + 16, np.ones((BLOCK, BLOCK), np.uint8))


def frames(count: int) -> Iterator[Image]:
    """Grey pictures in which the tile moves all the time."""
    width, height = FRAME
    noise = np.random.default_rng(8)
    for number in range(count):
        picture = noise.integers(100, 108, (height, width), np.uint8)
        left = round((width - SIDE) * (0.5 + 0.5 * np.sin(number / 9)))
        top = round((height - SIDE) * (0.5 + 0.5 * np.cos(number / 13)))
        picture[top : top + SIDE, left : left + SIDE] = tile()
        yield picture


def write_film(path: Path, count: int = 300, rate: int = 10) -> None:
    """The film of `frames`."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "15"})
        stream.width, stream.height, stream.pix_fmt = *FRAME, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for picture in frames(count):
            frame = av.VideoFrame.from_ndarray(np.stack([picture] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def visibility(picture: Image) -> float:
    """How much of the pattern a luma picture shows: the best normalised correlation anywhere, from -1 to 1."""
    if picture.shape[::-1] != FRAME:
        picture = np.asarray(cv2.resize(picture, FRAME), np.uint8)
    if picture.std() < 1:
        return 0.0
    scores = cv2.matchTemplate(picture, tile(), cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0).max())


class Needles:
    """Rows of the pattern as they would lie in memory, whatever the compression did to the grey levels."""

    def __init__(self) -> None:
        rows = {row[:SEARCHED_PIXELS].tobytes() for row in (tile()[::BLOCK] > 127).astype(np.uint8)}
        # A row with few changes between black and white could be a coincidence.
        self._rows = [row for row in rows if sum(a != b for a, b in itertools.pairwise(row)) >= 3]

    def found_in(self, data: bytes) -> list[str]:
        """What of the pattern, or of any openable picture, lies in these bytes."""
        found = [f"a picture file ({magic!r})" for magic in PICTURE_FILES if magic in data]
        light = (np.frombuffer(data, np.uint8) > 127).astype(np.uint8).tobytes()
        if any(row in light and self._is_flat(data, light.index(row), row) for row in self._rows):
            found.append("pixels of the pattern")
        return found

    @staticmethod
    def _is_flat(data: bytes, at: int, row: bytes) -> bool:
        """Whether these bytes are black and white pixels and not something else with the same high bits."""
        values = np.frombuffer(data, np.uint8, len(row), at).astype(np.int16)
        wanted = np.where(np.frombuffer(row, np.uint8) == 1, 235, 16)
        return bool((np.abs(values - wanted) < 60).all())
