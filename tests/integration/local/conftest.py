"""Short videos, made here, for the camera and the command line."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

RATE = 20
FRAMES = 30


def write_video(
    path: Path,
    codec: str,
    *,
    frames: int = FRAMES,
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (160, 120),
    brightness: int = 40,
    rate: int = RATE,
) -> Path:
    """Write a video of a bright square that moves to the right."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, rate)
        for number in range(frames):
            picture = np.full((height, width, 3), brightness, np.uint8)
            left = 4 * number % (width - 40)
            picture[40:80, left : left + 40] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One and a half seconds of MPEG-4 part 2 in an AVI, as surveillance recorders write it."""
    return write_video(tmp_path_factory.mktemp("video") / "street.avi", "mpeg4")


@pytest.fixture(scope="session")
def h264_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H.264 without reordered pictures in an MP4: a camera can pass it on as it is."""
    options = {"tune": "zerolatency", "g": "20"}
    return write_video(tmp_path_factory.mktemp("video") / "street.mp4", "libx264", options=options)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More frames than any machine works through while a test looks at one process of it."""
    return write_video(tmp_path_factory.mktemp("video") / "day.avi", "mpeg4", frames=6000)


@pytest.fixture(scope="session")
def brisk_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames in six tenths of a second: tests of the camera's faults need not wait for pictures."""
    return write_video(tmp_path_factory.mktemp("video") / "brisk.avi", "mpeg4", frames=60, rate=100)
