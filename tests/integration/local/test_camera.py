"""The camera against FFmpeg's own RTSP client, and against raw RTSP requests."""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
from typing import TYPE_CHECKING

import av
import pytest

from mesh.local.camera.authentication import Authenticator
from mesh.local.camera.clip import open_clip
from mesh.local.camera.faults import parse_fault
from mesh.local.camera.server import CameraOptions, serve_camera
from mesh.local.errors import LocalError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAMES = 30
TICKS_PER_FRAME = 90_000 // 20
TICKS_PER_MILLISECOND = 90


def _open(url: str, **options: str) -> av.container.InputContainer:
    # Little probing: the session description says everything.
    return av.open(url, options={"rtsp_transport": "tcp", "timeout": "3000000", "analyzeduration": "200000", **options})


def _decoded(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """Frames until the stream ends in whatever way."""
    try:
        yield from container.decode(video=0)
    except av.FFmpegError:
        return


def _watch(url: str, count: int) -> list[tuple[int, int, int]]:
    """Timestamp, width and height of the first frames of a stream."""
    with _open(url) as container:
        return [(frame.pts or 0, frame.width, frame.height) for frame in itertools.islice(_decoded(container), count)]


def _codec_and_first_frame(url: str) -> tuple[str, int]:
    with _open(url) as container:
        frame = next(_decoded(container))
        return container.streams.video[0].codec.name, frame.width


async def test_time_goes_on_over_the_loop(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        frames = await asyncio.to_thread(_watch, camera.url, FRAMES + 10)

    steps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(frames)]
    assert len(frames) == FRAMES + 10
    # Under load one step of 49 ms was seen once at the client; where it comes from was not found.
    assert [step for step in steps if abs(step - TICKS_PER_FRAME) > TICKS_PER_MILLISECOND] == []


@pytest.mark.parametrize("codec", ["h264", "hevc"])
async def test_codec_is_as_asked(video: Path, codec: str) -> None:
    options = CameraOptions(video, codec="hevc" if codec == "hevc" else "h264")
    async with serve_camera(options, random.Random(1)) as camera:
        assert await asyncio.to_thread(_codec_and_first_frame, camera.url) == (codec, 160)


async def test_h264_file_is_passed_on_as_it_is(h264_video: Path) -> None:
    clip = await asyncio.to_thread(open_clip, h264_video)
    await asyncio.to_thread(clip.wait_for_all)
    with av.open(str(h264_video)) as container:
        original = [packet for packet in container.demux(video=0) if packet.size]

    assert len(clip.units) == len(original) == FRAMES
    # The slice data is the same; only start codes and parameter sets differ.
    assert clip.units[5].data[-20:] == bytes(original[5])[-20:]


async def test_three_clients_watch_at_once(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        watched = await asyncio.gather(*(asyncio.to_thread(_watch, camera.url, 10) for _ in range(3)))

    assert [len(frames) for frames in watched] == [10, 10, 10]


@pytest.mark.parametrize("scheme", ["digest", "basic"])
async def test_right_password_opens_the_stream(video: Path, scheme: str) -> None:
    authenticator = Authenticator("guard", "s3cret", "abc", "basic" if scheme == "basic" else "digest")
    async with serve_camera(CameraOptions(video, authenticator=authenticator), random.Random(1)) as camera:
        url = camera.url.replace("rtsp://", "rtsp://guard:s3cret@")
        assert len(await asyncio.to_thread(_watch, url, 2)) == 2


@pytest.mark.parametrize("credentials", ["", "guard:wrong@"])
async def test_wrong_or_no_password_is_refused(video: Path, credentials: str) -> None:
    authenticator = Authenticator("guard", "s3cret", "abc")
    async with serve_camera(CameraOptions(video, authenticator=authenticator), random.Random(1)) as camera:
        url = camera.url.replace("rtsp://", f"rtsp://{credentials}")
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(_watch, url, 1)


async def test_unknown_path_is_not_found(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        with pytest.raises(av.HTTPNotFoundError):
            await asyncio.to_thread(_watch, camera.url + "/other", 1)


async def test_fault_unauthorized(video: Path) -> None:
    options = CameraOptions(video, fault=parse_fault("unauthorized"))
    async with serve_camera(options, random.Random(1)) as camera:
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(_watch, camera.url, 1)


async def test_fault_not_found(video: Path) -> None:
    options = CameraOptions(video, fault=parse_fault("not-found"))
    async with serve_camera(options, random.Random(1)) as camera:
        with pytest.raises(av.HTTPNotFoundError):
            await asyncio.to_thread(_watch, camera.url, 1)


async def test_fault_reset_cuts_the_stream(video: Path) -> None:
    options = CameraOptions(video, fault=parse_fault("reset-after 1"))
    async with serve_camera(options, random.Random(1)) as camera:
        frames = await asyncio.to_thread(_watch, camera.url, 1000)

    assert 0 < len(frames) < 60


async def test_fault_resize_changes_the_size_in_mid_stream(video: Path) -> None:
    options = CameraOptions(video, fault=parse_fault("resize-after 1"))
    async with serve_camera(options, random.Random(1)) as camera:
        frames = await asyncio.to_thread(_watch, camera.url, 70)

    assert {frame[1:] for frame in frames} == {(160, 120), (80, 60)}


class _RawClient:
    """Speaks RTSP by hand."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._url, self._reader, self._writer = url, reader, writer

    @classmethod
    async def connect(cls, url: str, port: int) -> _RawClient:
        return cls(url, *await asyncio.open_connection("127.0.0.1", port))

    async def request(self, method: str, *headers: str, track: str = "") -> str:
        lines = [f"{method} {self._url}{track} RTSP/1.0", "CSeq: 1", *headers, "", ""]
        self._writer.write("\r\n".join(lines).encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        return head.decode()

    async def play(self) -> None:
        response = await self.request("SETUP", "Transport: RTP/AVP/TCP;interleaved=0-1", track="/trackID=0")
        session = response.split("Session: ")[1].split(";")[0]
        assert " 200 " in await self.request("PLAY", f"Session: {session}")

    async def packet(self) -> tuple[int, bytes]:
        magic, channel, length = struct.unpack(">cBH", await self._reader.readexactly(4))
        assert magic == b"$"
        return channel, await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def test_sender_report_gives_the_wall_clock_time_of_the_first_frame(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        client = await _RawClient.connect(camera.url, camera.port)
        await client.play()
        (report_channel, report), (frame_channel, frame) = await client.packet(), await client.packet()
        await client.close()

    assert (report_channel, report[1]) == (1, 200)
    assert (frame_channel, frame[1] & 0x7F) == (0, 96)
    report_timestamp = struct.unpack(">I", report[16:20])[0]
    frame_timestamp = struct.unpack(">I", frame[4:8])[0]
    # Made in the same instant: less than a frame apart.
    assert (report_timestamp - frame_timestamp) % 2**32 < TICKS_PER_FRAME


async def test_fault_hang_answers_and_stays_silent(video: Path) -> None:
    options = CameraOptions(video, fault=parse_fault("hang-after-play"))
    async with serve_camera(options, random.Random(1)) as camera:
        client = await _RawClient.connect(camera.url, camera.port)
        await client.play()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.packet(), 2.0)
        await client.close()


async def test_fault_garbage_sends_noise_in_place_of_video(video: Path) -> None:
    received = []
    for fault in (None, parse_fault("garbage")):
        async with serve_camera(CameraOptions(video, fault=fault), random.Random(1)) as camera:
            client = await _RawClient.connect(camera.url, camera.port)
            await client.play()
            await client.packet()
            received.append((await client.packet())[1])
            await client.close()

    clean, garbage = received
    assert len(clean) == len(garbage)
    assert clean[12:] != garbage[12:]


async def test_udp_transport_is_refused_with_461(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        client = await _RawClient.connect(camera.url, camera.port)
        response = await client.request("SETUP", "Transport: RTP/AVP;unicast;client_port=5000-5001")
        await client.close()

    assert response.startswith("RTSP/1.0 461 ")


@pytest.mark.parametrize(("method", "status"), [("PLAY", 455), ("RECORD", 501), ("OPTIONS", 200)])
async def test_requests_out_of_order_are_answered_with_their_status(video: Path, method: str, status: int) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        client = await _RawClient.connect(camera.url, camera.port)
        response = await client.request(method)
        await client.close()

    assert response.startswith(f"RTSP/1.0 {status} ")


async def test_what_is_no_rtsp_ends_the_connection_and_not_the_camera(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"RTSP/1.0 400 ")
        assert len(await asyncio.to_thread(_watch, camera.url, 2)) == 2


async def test_file_without_video_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 1000)
    for file, words in ((text, "is not a video"), (tmp_path / "none.avi", "no such file")):
        with pytest.raises(SourceError, match=words):
            async with serve_camera(CameraOptions(file), random.Random(1)):
                pass


async def test_port_in_use_is_said(video: Path) -> None:
    async with serve_camera(CameraOptions(video), random.Random(1)) as camera:
        with pytest.raises(LocalError, match=f"cannot listen on 127.0.0.1:{camera.port}"):
            async with serve_camera(CameraOptions(video, port=camera.port), random.Random(1)):
                pass
