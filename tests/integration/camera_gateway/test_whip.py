from __future__ import annotations

import asyncio
import ipaddress
import json
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import site_pb2
from camera_gateway.whip import WhipSession
from mesh.ice import offer_loopback
from tests.contract.camera_gateway.cameras import moving_square
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import NOWHERE, World, session_when, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Session = gateway.Session
TOKEN = "canary-token"


class Square(VideoStreamTrack):
    """A moving square; stops to send, without ending, when it is `frozen`."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self.frozen = False

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        while self.frozen:
            await asyncio.sleep(0.05)
        self._number += 1
        frame = av.VideoFrame.from_ndarray(moving_square(320, 240, self._number), format="rgb24")
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


@asynccontextmanager
async def publishing_optic(folder: Path, **settings: Any) -> AsyncIterator[World]:
    secrets = folder / "secrets.json"
    secrets.write_text(json.dumps({"cam": {"tokens": {"one": TOKEN}}}))
    async with world(folder, camera_credentials=secrets, **settings) as running:
        running.registry.grant(device_lease(NOWHERE, optic(ingest=site_pb2.Optic.INGEST_WHIP)))
        await session_when(running, lambda session: session.state == Session.STATE_CONNECTING)
        yield running


class Publisher:
    """A WHIP client: posts an offer, keeps the peer connection, deletes the session."""

    def __init__(self, running: World, codec: str = "video/VP8", token: str = TOKEN) -> None:
        self.url = f"http://{running.web}/whip/cam/one"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.track = Square()
        self.audio = AudioStreamTrack()
        self.codec = codec
        self.peer = RTCPeerConnection()
        self.location = ""

    async def publish(self) -> int:
        """Offer video and audio; the HTTP status."""
        self.peer.addTrack(self.audio)
        self.peer.addTrack(self.track)
        transceiver = next(each for each in self.peer.getTransceivers() if each.kind == "video")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == self.codec])
        await self.peer.setLocalDescription(await self.peer.createOffer())
        headers = {**self.headers, "Content-Type": "application/sdp"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.url, data=self.peer.localDescription.sdp, headers=headers) as response,
        ):
            answer = await response.text()
            if response.status == 201:
                self.answer = answer
                self.location = response.headers["Location"]
                await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            return response.status

    async def delete(self) -> int:
        url = self.url.split("/whip/")[0] + self.location
        async with aiohttp.ClientSession() as http, http.delete(url, headers=self.headers) as response:
            return response.status

    async def close(self) -> None:
        self.track.frozen = False
        await self.peer.close()


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8"])
async def test_a_publisher_reaches_the_detector_until_it_deletes_its_session(tmp_path: Path, codec: str) -> None:
    async with publishing_optic(tmp_path) as running:
        publisher = Publisher(running, codec)
        assert await publisher.publish() == 201
        await eventually(lambda: len(running.anonymizer.frames) >= 5)
        streaming = await session_when(running, lambda session: session.state == Session.STATE_STREAMING)
        metrics = running.application.metrics
        left_out = metrics.get_sample_value("argo_gateway_tracks_left_out_total", {"kind": "audio"})

        assert await publisher.delete() == 200
        ended = await session_when(running, lambda session: session.reason == "END_OF_STREAM")
        assert await publisher.delete() == 404
        await publisher.close()

    frame = running.anonymizer.frames[-1].frame
    assert (frame.width, frame.height) == (320, 240)
    assert left_out == 1
    assert "m=audio" in publisher.answer
    assert publisher.answer.split("m=audio")[1].split("m=video")[0].count("a=inactive") == 1
    assert streaming.counters.frames_received > 0
    assert ended.state in (Session.STATE_BACKING_OFF, Session.STATE_CONNECTING)


async def test_a_silent_publisher_is_ended_and_may_come_again(tmp_path: Path) -> None:
    async with publishing_optic(tmp_path, stall_seconds=2.0) as running:
        publisher = Publisher(running)
        await publisher.publish()
        await eventually(lambda: running.anonymizer.frames)

        publisher.track.frozen = True
        await session_when(running, lambda session: session.reason == "STALL")
        await publisher.close()
        again = Publisher(running)
        await session_when(running, lambda session: session.state == Session.STATE_CONNECTING)
        assert await again.publish() == 201
        seen = await session_when(running, lambda session: session.state == Session.STATE_STREAMING)
        await again.close()

    assert seen.attempts >= 2


async def test_a_second_publisher_is_refused(tmp_path: Path) -> None:
    async with publishing_optic(tmp_path) as running:
        first, second = Publisher(running), Publisher(running)
        statuses = [await first.publish(), await second.publish()]
        await first.close()
        await second.close()

    assert statuses == [201, 409]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_a_wrong_token_is_refused(tmp_path: Path, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with publishing_optic(tmp_path) as running:
        publisher = Publisher(running, token=token)
        status = await publisher.publish()
        await publisher.close()

    assert status == 401
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.parametrize("offer", ["", "v=0\r\n", "no sdp", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"])
async def test_an_offer_without_video_is_refused(tmp_path: Path, offer: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/sdp"}
    async with publishing_optic(tmp_path) as running, aiohttp.ClientSession() as http:
        async with http.post(f"http://{running.web}/whip/cam/one", data=offer, headers=headers) as response:
            status = response.status
        async with http.post(f"http://{running.web}/whip/cam/other", data=offer, headers=headers) as response:
            other = response.status

    assert status == 400
    assert other == 401


async def test_a_withdrawn_lease_ends_the_publisher(tmp_path: Path) -> None:
    async with publishing_optic(tmp_path) as running:
        publisher = Publisher(running)
        await publisher.publish()
        await eventually(lambda: running.anonymizer.frames)

        running.registry.withdraw("devices/cam")
        await eventually(lambda: publisher.peer.connectionState in ("closed", "failed"))
        again = Publisher(running)
        status = await again.publish()
        await again.close()
        await publisher.close()

    assert status == 401


async def test_a_publisher_that_never_connects_is_ended_and_another_may_come(tmp_path: Path) -> None:
    async with publishing_optic(tmp_path, first_frame_seconds=1.0) as running:
        mute = Publisher(running)
        # Its candidates are left out of the offer and it never checks: no road leads to it.
        mute.peer.addTransceiver("video", direction="sendonly")
        offer = await mute.peer.createOffer()
        headers = {**mute.headers, "Content-Type": "application/sdp"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(mute.url, data=offer.sdp, headers=headers) as response,
        ):
            status = response.status
        await session_when(running, lambda session: session.reason == "NO_FIRST_FRAME")
        await session_when(running, lambda session: session.state == Session.STATE_CONNECTING)
        publisher = Publisher(running)
        again = await publisher.publish()
        await publisher.close()
        await mute.close()

    assert (status, again) == (201, 201)


async def test_a_publisher_outside_the_camera_networks_is_refused(tmp_path: Path) -> None:
    async with publishing_optic(tmp_path, camera_networks=(ipaddress.ip_network("127.0.0.2/32"),)) as running:
        publisher = Publisher(running)
        status = await publisher.publish()
        await publisher.close()

    assert status == 403


@pytest.mark.parametrize(("network", "connects"), [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
async def test_a_check_from_outside_the_camera_networks_makes_no_candidate(
    network: str,
    connects: bool,  # noqa: FBT001
) -> None:
    """The offer names no candidate; the publisher's checks come all the same."""
    offer_loopback()
    peer = RTCPeerConnection()
    peer.addTrack(Square())
    await peer.setLocalDescription(await peer.createOffer())
    session = WhipSession([ipaddress.ip_network(network)])
    without = "\r\n".join(line for line in peer.localDescription.sdp.splitlines() if "candidate" not in line) + "\r\n"
    answer = await session.answer(without)
    loopback = "\r\n".join(
        line for line in answer.splitlines() if not line.startswith("a=candidate:") or " 127.0.0.1 " in line
    )
    await peer.setRemoteDescription(RTCSessionDescription(loopback + "\r\n", "answer"))

    if connects:
        await asyncio.wait_for(session.connected.wait(), 30)
    else:
        await eventually(lambda: sum(guard.refused for guard in session.guards) >= 3)
        assert not session.connected.is_set()
        assert not any(
            transceiver.receiver.transport.transport.getRemoteCandidates()
            for transceiver in session.peer.getTransceivers()
        )
    await session.close()
    await peer.close()
