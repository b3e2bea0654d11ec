"""Clients of the camera that are not ours (FFmpeg) and one that speaks RTSP by hand and looks at every packet."""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av

from mesh.local.camera.options import CameraOptions
from mesh.local.camera.script import parse_script
from mesh.local.camera.server import serve_camera

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import numpy as np

    from mesh.local.camera.server import RunningCamera

NTP_EPOCH = 2_208_988_800


@asynccontextmanager
async def playing(*files: Path, script: str = "", **options: Any) -> AsyncIterator[RunningCamera]:
    faults = parse_script(script)
    async with serve_camera(CameraOptions(files, faults=faults, **options), random.Random(1)) as camera:
        yield camera


def open_stream(url: str, transport: str = "tcp", **options: str) -> av.container.InputContainer:
    # Little probing: the session description says everything.
    return av.open(
        url,
        options={"rtsp_transport": transport, "timeout": "3000000", "analyzeduration": "200000", **options}
        if url.startswith("rtsp")
        else {},
        timeout=10.0,
    )


def decoded(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """Frames until the stream ends in whatever way."""
    try:
        yield from container.decode(video=0)
    except av.FFmpegError:
        return


def watch(url: str, count: int, transport: str = "tcp") -> list[av.VideoFrame]:
    """The first frames of a stream; fewer if it ends."""
    with open_stream(url, transport) as container:
        return list(itertools.islice(decoded(container), count))


async def pictures(url: str, count: int, transport: str = "tcp") -> list[np.ndarray]:
    """Likewise, (height, width, 3) uint8 RGB."""
    return [frame.to_ndarray(format="rgb24") for frame in await asyncio.to_thread(watch, url, count, transport)]


@dataclass(frozen=True)
class Packet:
    """An RTP packet."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True)
class Report:
    """An RTCP sender report: Unix time in seconds, and the RTP timestamp of the same instant."""

    wall: float
    timestamp: int


def parse(data: bytes) -> Packet | Report:
    if 200 <= data[1] <= 204:
        ntp, timestamp = struct.unpack(">QI", data[8:20])
        return Report(ntp / 2**32 - NTP_EPOCH, timestamp)
    sequence, timestamp = struct.unpack(">HI", data[2:8])
    return Packet(data[1] & 0x7F, bool(data[1] & 0x80), sequence, timestamp, data[12:])


class RawClient:
    """Speaks RTSP by hand."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._url, self._reader, self._writer = url, reader, writer
        self._session = ""

    @classmethod
    @asynccontextmanager
    async def connected(cls, camera: RunningCamera, url: str = "") -> AsyncIterator[RawClient]:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        try:
            yield cls(url or camera.url, reader, writer)
        finally:
            writer.close()

    async def request(self, method: str, *headers: str, track: str = "") -> str:
        """The answer: head and body."""
        lines = [f"{method} {self._url}{track} RTSP/1.0", "CSeq: 1", *headers, "", ""]
        self._writer.write("\r\n".join(lines).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = head.partition("Content-Length: ")[2].partition("\r\n")[0]
        return head + (await self._reader.readexactly(int(length or 0))).decode()

    async def set_up(self, track: int = 0, transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1") -> str:
        session = [f"Session: {self._session}"] if self._session else []
        response = await self.request("SETUP", f"Transport: {transport}", *session, track=f"/trackID={track}")
        self._session = response.partition("Session: ")[2].partition(";")[0]
        return response

    async def play(self) -> None:
        if not self._session:
            await self.set_up()
        assert " 200 " in await self.request("PLAY", f"Session: {self._session}")

    async def packet(self) -> tuple[int, bytes]:
        magic, channel, length = struct.unpack(">cBH", await self._reader.readexactly(4))
        assert magic == b"$"
        return channel, await self._reader.readexactly(length)

    async def packets(self, count: int) -> list[Packet]:
        """So many RTP packets of the first channel."""
        found: list[Packet] = []
        while len(found) < count:
            channel, data = await self.packet()
            if channel == 0 and isinstance(packet := parse(data), Packet):
                found.append(packet)
        return found

    async def reports(self, count: int) -> list[Report]:
        """So many sender reports of the first track."""
        found: list[Report] = []
        while len(found) < count:
            channel, data = await self.packet()
            if channel == 1 and isinstance(report := parse(data), Report):
                found.append(report)
        return found
