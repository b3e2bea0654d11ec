"""A camera that publishes over WHIP with a real WebRTC client, all the way to masked pictures."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack

from argo.registry.v1 import registry_service_pb2 as api
from argo.registry.v1 import site_pb2
from argo.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from mesh.ice import offer_loopback
from mesh.local.demo.registration import SITE
from tests.e2e.street import PATIENCE, REASON, WHIP_DEVICE, WHIP_TOKEN, Street, until

OPTIC = f"devices/{WHIP_DEVICE}/optics/one"
AUTHORIZATION = {"Authorization": f"Bearer {WHIP_TOKEN}"}

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Square(VideoStreamTrack):
    """A square that wanders over grey ground, 30 pictures a second."""

    async def recv(self) -> av.VideoFrame:
        timestamp, time_base = await self.next_timestamp()
        picture = np.full((240, 320, 3), 128, np.uint8)
        left = int(timestamp * time_base * 60) % 260
        picture[90:150, left : left + 60] = 240
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = timestamp, fractions.Fraction(time_base)
        return frame


@contextlib.asynccontextmanager
async def _registered(street: Street) -> AsyncIterator[Any]:
    """The publisher's device and optic; gives the registry."""
    legal = site_pb2.LegalBasis(
        purpose=site_pb2.LegalBasis.PURPOSE_TRAFFIC, dpia_reference="test", sign_reference="test"
    )
    device = site_pb2.Device(
        display_name="publisher",
        site=SITE,
        address="127.0.0.1:9",
        credentials=WHIP_DEVICE,
        view=site_pb2.Device.VIEW_OBSERVATION,
        mobility=site_pb2.Device.MOBILITY_FIXED,
        legal_basis=legal,
    )
    async with street.channel("registry", "administrator/local") as channel:
        stub: Any = RegistryServiceStub(channel)
        await stub.CreateDevice(api.CreateDeviceRequest(device_id=WHIP_DEVICE, device=device, reason=REASON))
        await _admit(stub)
        try:
            yield stub
        finally:
            await _expel(stub)
            await stub.DeleteDevice(api.DeleteDeviceRequest(name=f"devices/{WHIP_DEVICE}", reason=REASON))
            await until("the gateway lets go of the optic", lambda: _is_let_go(street))


async def _is_let_go(street: Street) -> bool | None:
    return await street.session(OPTIC) is None or None


async def _admit(registry: Any) -> None:
    optic = site_pb2.Optic(display_name="publisher", ingest=site_pb2.Optic.INGEST_WHIP)
    await registry.CreateOptic(
        api.CreateOpticRequest(parent=f"devices/{WHIP_DEVICE}", optic_id="one", optic=optic, reason=REASON)
    )


async def _expel(registry: Any) -> None:
    await registry.DeleteOptic(api.DeleteOpticRequest(name=OPTIC, reason=REASON))


@dataclass
class Publisher:
    """A camera that publishes.

    Attributes:
        peer: its connection.
        resource: its session's URL.
    """

    peer: RTCPeerConnection
    resource: str

    async def goodbye(self) -> int:
        """DELETE; the HTTP status."""
        async with aiohttp.ClientSession() as client, client.delete(self.resource, headers=AUTHORIZATION) as response:
            return response.status


@contextlib.asynccontextmanager
async def _publishing(street: Street) -> AsyncIterator[Publisher]:
    # The local mesh's camera network is 127.0.0.1: a publisher at another of this machine's addresses is not heard.
    offer_loopback()
    peer = RTCPeerConnection()
    peer.addTrack(Square())
    url = f"http://{street.mesh.environments.web('camera-gateway')}/whip/{WHIP_DEVICE}/one"
    try:
        await peer.setLocalDescription(await peer.createOffer())
        async with aiohttp.ClientSession() as client:
            answer, location = await _post_until_leased(client, url, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield Publisher(peer, urljoin(url, location))
    finally:
        await peer.close()


async def _post_until_leased(client: aiohttp.ClientSession, url: str, offer: str) -> tuple[str, str]:
    """The answer and the session's resource, once the gateway has got the lease of the new device."""
    headers = {**AUTHORIZATION, "Content-Type": "application/sdp"}
    deadline = time.monotonic() + PATIENCE
    while True:
        async with client.post(url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status == 201:
                return text, response.headers["Location"]
        assert time.monotonic() < deadline, f"{response.status}: {text}"
        await asyncio.sleep(0.2)


async def test_a_publisher_is_analysed_and_masked(street: Street) -> None:
    async with _registered(street), _publishing(street):
        session = await street.streaming(OPTIC)

    assert (session.width, session.height) == (320, 240)
    assert session.counters.unmasked_frames_out == 0


async def test_a_publisher_that_says_goodbye_may_come_again(street: Street) -> None:
    async with _registered(street):
        async with _publishing(street) as publisher:
            await street.streaming(OPTIC)
            statuses = [await publisher.goodbye(), await publisher.goodbye()]

            async def over() -> str | None:
                session = await street.session(OPTIC)
                return (session.reason if session else "") or None

            reason = await until("the session is over", over)
        async with _publishing(street):
            again = await street.streaming(OPTIC)

    assert (statuses, reason) == ([200, 404], "END_OF_STREAM")
    assert again.attempts > 1
    assert again.counters.unmasked_frames_out == 0


async def test_a_publisher_that_loses_its_admission_is_cut_and_comes_back_with_it(street: Street) -> None:
    async with _registered(street) as registry:
        async with _publishing(street) as publisher:
            await street.streaming(OPTIC)
            await _expel(registry)

            async def cut() -> bool | None:
                return publisher.peer.connectionState in {"closed", "failed"} or None

            await until("the publisher is cut", cut)
            refused = await publisher.goodbye()
            assert await street.session(OPTIC) is None
        await _admit(registry)
        async with _publishing(street):
            again = await street.streaming(OPTIC)

    # Without an admission its token opens nothing.
    assert refused == 401
    assert again.attempts == 1
    assert again.counters.unmasked_frames_out == 0
