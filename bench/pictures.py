"""Decoded frames of a video, in memory before anything is timed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from detector.domain.preprocessing import Planes


@dataclass(frozen=True)
class Picture:
    """A decoded frame.

    Attributes:
        width: pixels.
        height: pixels.
        i420: luma, Cb, Cr, without padding.
    """

    width: int
    height: int
    i420: bytes

    def planes(self) -> Planes:
        """As the detector takes it, without a copy."""
        return Planes.unpack(self.width, self.height, self.i420)


def pictures(video: Path, count: int, every: int = 1) -> list[Picture]:
    """The first frames of a video, or every so many-th; fewer when it is shorter."""
    with av.open(video) as container:
        return [
            Picture(frame.width, frame.height, frame.reformat(format="yuv420p").to_ndarray().tobytes())
            for frame in islice(container.decode(video=0), 0, count * every, every)
        ]
