"""Invariant 1: a known pattern goes in, and is searched for wherever a picture could have come to rest or gone out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import nats
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from argo.anonymizer.v1 import live_view_service_pb2 as live_view
from argo.anonymizer.v1.live_view_service_pb2_grpc import LiveViewServiceStub
from mesh.tls import client_context
from tests.e2e import pattern
from tests.e2e.street import PATIENCE, Street

DEVICE = "demo-camera-pattern"
WATCHED_FRAMES = 60


def test_the_search_finds_the_pattern_where_it_is(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    pattern.write_film(film, 20)
    with av.open(film) as container:
        decoded = container.decode(video=0)
        pictures = [np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in decoded]

    assert min(pattern.visibility(picture[: pattern.FRAME[1]]) for picture in pictures) > pattern.RECOGNISED
    assert "pixels of the pattern" in pattern.Needles().found_in(b"before" + pictures[5].tobytes() + b"after")
    assert pattern.Needles().found_in(film.read_bytes())
    assert pattern.Needles().found_in(np.random.default_rng(1).bytes(4_000_000)) == []


@contextlib.asynccontextmanager
async def _eavesdropper(street: Street) -> AsyncIterator[list[bytes]]:
    """Everything that goes over the bus."""
    heard: list[bytes] = []
    backends = street.mesh.environments.of("detector")
    tls = client_context(street.mesh.state.certificate("service/detector"))
    client = await nats.connect(backends["ARGO_NATS_URL"], tls=tls, tls_hostname="localhost")

    async def hear(message: Any) -> None:
        heard.append(message.data)

    await client.subscribe(">", cb=hear)
    try:
        yield heard
    finally:
        await client.close()


async def _watch(street: Street, optic: str) -> list[pattern.Image]:
    """What a viewer gets to see: luma pictures."""
    async with street.channel("anonymizer", "service/alerting") as channel:
        stub: Any = LiveViewServiceStub(channel)
        viewing = await stub.CreateViewing(
            live_view.CreateViewingRequest(optic=optic, viewer="operator/test", purpose="test", audit_entry="1")
        )
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly")
    tracks: asyncio.Queue[Any] = asyncio.Queue()
    peer.on("track", tracks.put_nowait)
    try:
        await peer.setLocalDescription(await peer.createOffer())
        headers = {"Authorization": f"Bearer {viewing.token}", "Content-Type": "application/sdp"}
        async with (
            aiohttp.ClientSession() as client,
            client.post(viewing.whep_url, data=peer.localDescription.sdp, headers=headers) as response,
        ):
            assert response.status == 201, await response.text()
            await peer.setRemoteDescription(RTCSessionDescription(await response.text(), "answer"))
        track = await asyncio.wait_for(tracks.get(), PATIENCE)
        pictures = [await asyncio.wait_for(track.recv(), PATIENCE) for _ in range(WATCHED_FRAMES)]
    finally:
        await peer.close()
    return [picture.to_ndarray(format="yuv420p")[: picture.height] for picture in pictures]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_pattern_before_the_camera_is_found_nowhere_behind_it(street: Street, tmp_path: Path) -> None:
    film = tmp_path / "pattern.mp4"
    pattern.write_film(film)
    optic = await street.register(DEVICE, await street.play(DEVICE, film))
    try:
        async with _eavesdropper(street) as heard:
            await street.streaming(optic)
            shown = await _watch(street, optic)
            session = await street.streaming(optic)
    finally:
        await street.forget(DEVICE)

    needles = pattern.Needles()
    assert session.counters.unmasked_frames_out == 0
    assert max(map(pattern.visibility, shown)) < pattern.RECOGNISED
    assert heard, "the bus was silent: nothing was searched"
    assert [found for message in heard if (found := needles.found_in(message))] == []
    # PostgreSQL, JetStream, logs, recordings, certificates: all that the mesh ever wrote lies in its folder.
    files = [path for path in street.mesh.state.path.rglob("*") if path.is_file()]
    assert any("recordings" in path.parts for path in files)
    assert {str(path): found for path in files if (found := needles.found_in(path.read_bytes()))} == {}
