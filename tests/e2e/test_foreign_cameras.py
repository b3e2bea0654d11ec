"""Cameras that are not ours: GStreamer's RTSP server, and a WHIP publisher on aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.street import PATIENCE, Street

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.gstreamer]

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
factory = GstRtspServer.RTSPMediaFactory(launch=sys.argv[1], shared=True)
server.get_mount_points().add_factory("/stream", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
PICTURES = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=480,framerate=10/1 ! "
PIPELINES = {
    "h264": f"( {PICTURES} x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 config-interval=1 )",
    "h265": f"( {PICTURES} x265enc tune=zerolatency key-int-max=10 ! rtph265pay name=pay0 config-interval=1 )",
}


def _is_missing() -> bool:
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    command = [SYSTEM_PYTHON, "-c", probe]
    return not Path(SYSTEM_PYTHON).exists() or subprocess.run(command, check=False, capture_output=True).returncode != 0


@contextlib.asynccontextmanager
async def gstreamer(pipeline: str) -> AsyncIterator[str]:
    server = await asyncio.create_subprocess_exec(
        SYSTEM_PYTHON, "-c", SERVER, pipeline, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    try:
        port = (await asyncio.wait_for(server.stdout.readline(), PATIENCE)).decode().strip()
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        await server.wait()


@pytest.mark.skipif(_is_missing(), reason="needs GStreamer's RTSP server: gir1.2-gst-rtsp-server-1.0, python3-gi")
@pytest.mark.parametrize("codec", PIPELINES)
async def test_a_camera_of_another_maker_is_masked_end_to_end(street: Street, codec: str) -> None:
    device = f"demo-camera-gst-{codec}"
    async with gstreamer(PIPELINES[codec]) as address:
        optic = await street.register(device, address)
        try:
            session = await street.streaming(optic)
        finally:
            await street.forget(device)

    assert (session.width, session.height) == (640, 480)
    assert session.counters.unmasked_frames_out == 0
