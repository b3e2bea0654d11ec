from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from prometheus_client import CollectorRegistry

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from camera_gateway.access import Access
from camera_gateway.domain.liveness import Reason
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.pipeline import Decoding
from camera_gateway.rtsp.address import Dialling
from camera_gateway.rtsp.source import RtspSource, Transport
from camera_gateway.rtsp.trust import CameraTrust
from camera_gateway.sources import Listener, SourceError
from camera_gateway.tally import Tally
from camera_gateway.views import Views
from tests.contract.camera_gateway.cameras import faulty_camera, write_clip
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import NOWHERE, session_when, world

if TYPE_CHECKING:
    from pathlib import Path

Session = gateway.Session
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\na=control:track\r\n"
)
SENDER_REPORT = bytes([0x80, 200, 0, 6]) + bytes(4) + (3_900_000_000).to_bytes(4) + bytes(16)


def reply(sequence: bytes, *headers: str, status: str = "200 OK", body: bytes = b"") -> bytes:
    lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence.decode()}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def scripted(handle: Handler, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A TCP server with ``handle(reader, writer)``; its ``host:port``."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, host, 0)
    try:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def shake_hands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    sdp: bytes = SDP,
    session: str = "1",
    asked: list[str] | None = None,
) -> None:
    """Answer everything up to PLAY; the first lines of the requests go to ``asked``."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        method = head.split(b" ", 1)[0]
        if asked is not None:
            asked.append(head.split(b"\r\n")[0].decode())
        sequence = next(line for line in head.split(b"\r\n") if line.startswith(b"CSeq:")).split(b":")[1].strip()
        body = sdp if method == b"DESCRIBE" else b""
        writer.write(reply(sequence, f"Session: {session}", body=body))
        if method == b"PLAY":
            return


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def only_reports_its_clock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await shake_hands(reader, writer)
    while True:
        writer.write(b"$\x01" + len(SENDER_REPORT).to_bytes(2) + SENDER_REPORT)
        await writer.drain()
        await asyncio.sleep(0.05)


async def offers_only_mpeg2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await shake_hands(reader, writer, SDP.replace(b"H264", b"MPV"))
    await reader.read()


@pytest.mark.parametrize(
    ("handle", "state", "reason", "settings"),
    [
        (says_nothing, Session.STATE_BACKING_OFF, "CONNECT_TIMEOUT", {"connect_seconds": 0.5}),
        (speaks_http, Session.STATE_BACKING_OFF, "PROTOCOL_ERROR", {}),
        (only_reports_its_clock, Session.STATE_BACKING_OFF, "NO_FIRST_FRAME", {"first_frame_seconds": 0.5}),
        (offers_only_mpeg2, Session.STATE_REFUSED, "UNSUPPORTED_CODEC", {}),
    ],
)
async def test_a_server_that_is_no_camera_is_named(
    tmp_path: Path,
    handle: Handler,
    state: gateway.Session.State.ValueType,
    reason: str,
    settings: dict[str, float],
) -> None:
    async with scripted(handle) as address, world(tmp_path, **settings) as running:
        running.registry.grant(device_lease(address, optic()))

        seen = await session_when(running, lambda session: session.state == state)

    assert seen.reason == reason
    assert seen.detail
    assert seen.coverage.received_seconds == 0


async def test_only_the_video_is_asked_for_and_the_session_is_kept_alive(tmp_path: Path) -> None:
    asked: list[str] = []
    audio = b"m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:audio\r\n"
    metadata = b"m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:metadata\r\n"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer, SDP + audio + metadata, "1;timeout=1", asked)
        asked.append((await reader.readline()).decode().strip())

    async with scripted(handle) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: len(asked) >= 5)

    url = f"rtsp://{address}/stream"
    assert asked[:5] == [
        f"OPTIONS {url} RTSP/1.0",
        f"DESCRIBE {url} RTSP/1.0",
        f"SETUP {url}/track RTSP/1.0",
        f"PLAY {url} RTSP/1.0",
        f"OPTIONS {url} RTSP/1.0",
    ]


async def test_a_name_that_changes_its_mind_changes_nothing(tmp_path: Path) -> None:
    asked: list[str] = []
    answers = iter([["127.0.0.1"], ["127.0.0.1", "10.0.0.1"]])
    dialled = asyncio.Event()

    async def notices(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()
        await says_nothing(reader, writer)

    async def resolver(host: str) -> list[str]:
        asked.append(host)
        return next(answers)

    async with scripted(notices) as address:
        source = RtspSource(
            address.replace("127.0.0.1", "camera.invalid"),
            "/stream",
            transport=Transport.TCP,
            access=Access(credentials=lambda: None, trust=CameraTrust),
            dialling=Dialling([ipaddress.ip_network("127.0.0.0/8")], resolver),
            decoding=Decoding(ThreadPoolExecutor(1), Views()),
        )
        listener = Tally("devices/cam/optics/one", GatewayMetrics(CollectorRegistry()))
        # The first dial reaches the server, whose name no resolver knows: the address that was checked was dialled.
        first = asyncio.create_task(source.run(cast("Listener", listener)))
        await eventually(dialled.is_set)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        with pytest.raises(SourceError) as caught:
            await source.run(cast("Listener", listener))

    assert caught.value.reason is Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS
    assert asked == ["camera.invalid", "camera.invalid"]


async def test_an_address_that_cannot_be_read_is_said_and_hurts_nobody_else(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        running.registry.grant(device_lease("camera:http", optic()))

        seen = await session_when(running, lambda session: session.state == Session.STATE_BACKING_OFF)

    assert seen.reason == "UNREACHABLE"
    assert "registry" in seen.detail


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        running.registry.grant(device_lease(NOWHERE, optic()))

        seen = await session_when(running, lambda session: session.state == Session.STATE_BACKING_OFF)

    assert seen.reason == "UNREACHABLE"


async def test_an_address_outside_the_camera_networks_is_not_dialled(tmp_path: Path) -> None:
    dialled: list[bool] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(True)

    networks = (ipaddress.ip_network("10.0.0.0/8"),)
    async with scripted(count) as address, world(tmp_path, camera_networks=networks) as running:
        running.registry.grant(device_lease(address, optic()))

        seen = await session_when(running, lambda session: session.state == Session.STATE_REFUSED)

    assert seen.reason == "ADDRESS_OUTSIDE_CAMERA_NETWORKS"
    assert not dialled


@pytest.mark.parametrize("method", [b"OPTIONS", b"DESCRIBE"])
async def test_a_redirect_out_of_the_camera_networks_is_not_followed(tmp_path: Path, method: bytes) -> None:
    dialled: list[bool] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(True)

    async with scripted(count) as target:
        location = "Location: rtsp://[::ffff:127.0.0.1]:{}/x".format(target.split(":")[1])

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sequence = next(line for line in head.split(b"\r\n") if line.startswith(b"CSeq:")).split(b":")[1]
                if head.startswith(method):
                    writer.write(reply(sequence.strip(), location, status="302 Moved"))
                else:
                    writer.write(reply(sequence.strip()))

        networks = (ipaddress.ip_network("127.0.0.2/32"),)
        async with (
            scripted(redirect, "127.0.0.2") as address,
            world(tmp_path, camera_networks=networks) as running,
        ):
            running.registry.grant(device_lease(address, optic()))

            seen = await session_when(running, lambda session: session.state == Session.STATE_REFUSED)

    assert seen.reason == "ADDRESS_OUTSIDE_CAMERA_NETWORKS"
    assert not dialled


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("unauthorized", "UNAUTHORIZED"),
        ("not-found", "NOT_FOUND"),
        ("hang-after-play", "NO_FIRST_FRAME"),
        ("garbage", "DECODE_ERRORS"),
    ],
)
async def test_a_camera_that_misbehaves_is_named(tmp_path: Path, fault: str, reason: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with (
        faulty_camera(clip, "--fault", fault) as address,
        world(tmp_path, first_frame_seconds=1.0, stall_seconds=1.0) as running,
    ):
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        # On a machine so busy that nothing came within the second, a later attempt tells the reason.
        seen = await session_when(running, lambda session: session.reason == reason)

    assert seen.state != Session.STATE_STREAMING
    assert not running.anonymizer.frames


async def test_a_camera_that_resets_is_dialled_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")

    def again(session: Session) -> bool:
        streams = session.attempts > 1 and session.state == Session.STATE_STREAMING
        return streams and session.counters.frames_masked > 0

    async with faulty_camera(clip, "--fault", "reset-after 2") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        lost = await session_when(running, lambda session: session.state == Session.STATE_BACKING_OFF)
        back = await session_when(running, again)

    assert lost.reason == "END_OF_STREAM"
    assert back.reason == ""


async def test_a_change_of_resolution_is_survived(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip, "--fault", "every 2 for 1 resize") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: len({(pair.frame.width, pair.frame.height) for pair in running.anonymizer.frames}) > 1)

        seen = await session_when(running, lambda session: session.counters.frames_masked > 0)

    sizes = {(pair.frame.width, pair.frame.height) for pair in running.anonymizer.frames}
    assert sizes == {(320, 240), (160, 120)}
    assert seen.attempts == 1
    assert all(
        len(pair.frame.i420) == pair.frame.width * pair.frame.height * 3 // 2 for pair in running.anonymizer.frames
    )
