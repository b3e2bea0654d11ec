"""The camera's RTSP dialogue, request by request."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from tests.integration.local.camera_client import Packet, RawClient, Report, parse, pictures, playing


async def test_sender_report_names_the_capture_time_of_the_frame_that_follows(brisk_video: Path) -> None:
    before = time.time()
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        await client.play()
        (report_channel, first), (frame_channel, second) = await client.packet(), await client.packet()
    report, frame = parse(first), parse(second)

    assert isinstance(report, Report)
    assert isinstance(frame, Packet)
    assert (report_channel, frame_channel, frame.payload_type) == (1, 0, 96)
    assert report.timestamp == frame.timestamp
    assert before < report.wall < time.time()


async def test_sender_reports_keep_the_clock_of_the_timestamps(brisk_video: Path) -> None:
    async with playing(brisk_video, report_seconds=0.1) as camera, RawClient.connected(camera) as client:
        await client.play()
        reports = await client.reports(5)

    for earlier, later in itertools.pairwise(reports):
        elapsed = (later.timestamp - earlier.timestamp) % 2**32 / 90_000
        assert later.wall - earlier.wall == pytest.approx(elapsed, abs=1e-5)


async def test_sequence_numbers_follow_and_pictures_end_with_a_marker(brisk_video: Path) -> None:
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        await client.play()
        packets = await client.packets(40)

    assert {(later.sequence - earlier.sequence) % 2**16 for earlier, later in itertools.pairwise(packets)} == {1}
    for earlier, later in itertools.pairwise(packets):
        assert earlier.marker == (earlier.timestamp != later.timestamp)


async def test_two_sessions_have_identities_of_their_own(brisk_video: Path) -> None:
    async with playing(brisk_video) as camera:
        sources = set()
        for _ in range(2):
            async with RawClient.connected(camera) as client:
                await client.play()
                sources.add((await client.packet())[1][4:8])

    assert len(sources) == 2


@pytest.mark.parametrize(
    "transport",
    [
        "RTP/AVP;multicast;client_port=5000-5001",
        "RTP/AVP;unicast",
        "RTP/AVP;unicast;client_port=0-1",
        "RTP/SAVP;unicast;client_port=5000-5001",
        "",
    ],
)
async def test_transport_that_is_not_spoken_is_refused_with_461(brisk_video: Path, transport: str) -> None:
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        response = await client.set_up(transport=transport)

    assert response.startswith("RTSP/1.0 461 ")


async def test_udp_goes_to_the_client_and_not_where_it_points(brisk_video: Path) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            received.put_nowait(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        answer = await client.set_up(transport=f"RTP/AVP;unicast;destination=192.0.2.1;client_port={port}-{port + 1}")
        await client.play()
        first = parse(await received.get())
    transport.close()

    assert isinstance(first, Packet)
    server_port = int(answer.partition("server_port=")[2].partition("-")[0])
    assert server_port % 2 == 0


@pytest.mark.parametrize(("method", "status"), [("PLAY", 455), ("TEARDOWN", 455), ("RECORD", 501), ("OPTIONS", 200)])
async def test_requests_out_of_order_get_their_status(brisk_video: Path, method: str, status: int) -> None:
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        response = await client.request(method)

    assert response.startswith(f"RTSP/1.0 {status} ")


async def test_a_foreign_session_is_not_found(brisk_video: Path) -> None:
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        await client.set_up()
        response = await client.request("PLAY", "Session: 0123")

    assert response.startswith("RTSP/1.0 454 ")


async def test_what_is_no_rtsp_ends_the_connection_and_not_the_camera(brisk_video: Path) -> None:
    async with playing(brisk_video) as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"RTSP/1.0 400 ")
        assert len(await pictures(camera.url, 2)) == 2
