"""The camera as a WHIP publisher, against an endpoint on aiortc that decodes what comes."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from mesh.local.camera.options import CameraOptions
from mesh.local.camera.script import parse_script
from mesh.local.camera.whip import WhipOptions, publish
from tests.integration.local.conftest import write_video

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "canary-token"
PATIENCE = 20.0


class Endpoint:
    """Takes offers at ``/whip/{optic}`` and keeps the pictures that come."""

    def __init__(self) -> None:
        self.url = ""
        self.offers: list[tuple[str, str, str]] = []
        self.deleted: list[str] = []
        self.pictures: dict[str, list[np.ndarray]] = {}
        self._peers: list[RTCPeerConnection] = []
        self._drains: set[asyncio.Task[None]] = set()

    async def offered(self, request: web.Request) -> web.Response:
        optic, offer = request.match_info["optic"], await request.text()
        token = request.headers.get("Authorization", "")
        self.offers.append((optic, token, offer))
        if token != f"Bearer {TOKEN}":
            return web.Response(status=401)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        session = f"/session/{len(self._peers)}"

        @peer.on("track")
        def on_track(track: Any) -> None:
            self._drains.add(asyncio.create_task(self._drain(optic, track)))

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"Location": session, "Content-Type": "application/sdp"}
        return web.Response(status=201, text=peer.localDescription.sdp, headers=headers)

    async def ended(self, request: web.Request) -> web.Response:
        self.deleted.append(request.match_info["session"])
        return web.Response()

    async def _drain(self, optic: str, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                self.pictures.setdefault(optic, []).append(frame.to_ndarray(format="rgb24"))

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers))
        for task in self._drains:
            task.cancel()

    async def received(self, optic: str, count: int) -> list[np.ndarray]:
        async with asyncio.timeout(PATIENCE):
            while len(self.pictures.get(optic, [])) < count:
                await asyncio.sleep(0.02)
        return self.pictures[optic]


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    far = Endpoint()
    application = web.Application()
    application.router.add_post("/whip/{optic}", far.offered)
    application.router.add_delete("/session/{session}", far.ended)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    far.url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip/{{optic}}"
    try:
        yield far
    finally:
        await far.close()
        await runner.cleanup()


@asynccontextmanager
async def publishing(
    far: Endpoint, *files: Path, script: str = "", token: str = TOKEN, **options: Any
) -> AsyncIterator[None]:
    camera = CameraOptions(files, faults=parse_script(script), **options)
    async with publish(camera, WhipOptions(far.url, token), random.Random(1)):
        yield


async def test_every_optic_is_published_and_says_goodbye(brisk_video: Path, tmp_path: Path) -> None:
    upright = write_video(tmp_path / "upright.mp4", "libx264", size=(96, 128))
    async with endpoint() as far:
        async with publishing(far, brisk_video, upright, optics=2):
            first, second = await far.received("1", 10), await far.received("2", 10)
        deleted = far.deleted

    assert (first[0].shape, second[0].shape) == ((120, 160, 3), (128, 96, 3))
    assert not np.array_equal(first[0], first[-1])
    assert sorted(deleted) == ["1", "2"]
    assert all("m=audio" not in offer and "H264" in offer and "VP8" not in offer for _, _, offer in far.offers)


async def test_a_refused_publisher_comes_again(brisk_video: Path) -> None:
    async with endpoint() as far, publishing(far, brisk_video, token="old"):
        async with asyncio.timeout(PATIENCE):
            while len(far.offers) < 2:
                await asyncio.sleep(0.02)

    assert {token for _, token, _ in far.offers} == {"Bearer old"}
    assert far.pictures == {}


async def test_a_cut_publisher_says_nothing_and_comes_again(brisk_video: Path) -> None:
    async with endpoint() as far, publishing(far, brisk_video, script="after 0.5 reset"):
        async with asyncio.timeout(PATIENCE):
            while len(far.offers) < 2:
                await asyncio.sleep(0.02)
        deleted = list(far.deleted)

    assert deleted == []


@pytest.mark.parametrize(
    ("fault", "token", "audio"), [("unauthorized", "Bearer wrong", False), ("audio", f"Bearer {TOKEN}", True)]
)
async def test_faults_of_the_offer(brisk_video: Path, fault: str, token: str, *, audio: bool) -> None:
    async with endpoint() as far, publishing(far, brisk_video, script=fault):
        async with asyncio.timeout(PATIENCE):
            while not far.offers:
                await asyncio.sleep(0.02)

    assert far.offers[0][1] == token
    assert ("m=audio" in far.offers[0][2]) == audio


async def test_faults_of_the_picture(brisk_video: Path) -> None:
    async with endpoint() as far, publishing(far, brisk_video, script="black"):
        seen = await far.received("1", 5)

    assert max(picture.mean() for picture in seen) < 8


async def test_a_hang_sends_nothing(brisk_video: Path) -> None:
    async with endpoint() as far, publishing(far, brisk_video, brisk_video, optics=2, script="optic 2 hang-after-play"):
        await far.received("1", 50)
        silent = "2" not in far.pictures

    assert len(far.offers) == 2
    assert silent
