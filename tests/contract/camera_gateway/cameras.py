"""Cameras for tests: GStreamer's RTSP server as the one that is not ours, and ours with its faults."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SYSTEM_PYTHON = Path("/usr/bin/python3")
GSTREAMER_CAMERA = Path(__file__).parent / "gstreamer_camera.py"


@functools.cache
def _gstreamer_missing() -> str | None:
    if not SYSTEM_PYTHON.exists():
        return "no system Python"
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    done = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False)
    return None if done.returncode == 0 else "needs Debian packages gir1.2-gst-rtsp-server-1.0 and python3-gi"


@asynccontextmanager
async def gstreamer_camera(codec: str, *options: str) -> AsyncIterator[str]:
    """``host:port`` of an RTSP server by GStreamer that serves ``/stream``."""
    if (missing := _gstreamer_missing()) is not None:
        pytest.skip(missing)
    async with _process(str(SYSTEM_PYTHON), str(GSTREAMER_CAMERA), codec, *options) as line:
        yield f"127.0.0.1:{line}"


@asynccontextmanager
async def faulty_camera(clip: Path, *options: str) -> AsyncIterator[str]:
    """``host:port`` of our own camera playing ``clip`` at ``/stream``."""
    async with _process(sys.executable, "-m", "mesh.local.camera", str(clip), *options) as line:
        yield line.removeprefix("rtsp://").split("/")[0].rpartition("@")[2]


@asynccontextmanager
async def _process(*command: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode().strip()
        if not line:
            raise AssertionError(f"{command[:3]} did not start")
        yield line
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def moving_square(width: int, height: int, number: int) -> np.ndarray:
    """A grey picture with a white square that moves, (height, width, 3) uint8 RGB."""
    picture = np.full((height, width, 3), 90, np.uint8)
    left = (number * 7) % (width - 40)
    picture[height // 3 : height // 3 + 40, left : left + 40] = 255
    return picture


def write_clip(path: Path, *, frames: int = 60, rate: int = 15, size: tuple[int, int] = (320, 240)) -> Path:
    """An H.264 clip of a moving square."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "10", "bf": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(moving_square(*size, number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
