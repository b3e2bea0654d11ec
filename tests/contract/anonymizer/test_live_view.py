from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import aiohttp
import cv2
import grpc
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from av import VideoFrame
from google.protobuf.duration_pb2 import Duration

from argo.anonymizer.v1 import live_view_service_pb2, live_view_service_pb2_grpc
from mesh.ice import offer_loopback
from tests.contract.anonymizer import harness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiortc import MediaStreamTrack

    from mesh.authority import CertificateAuthority

offer_loopback()

BY_PAGE = live_view_service_pb2.CreateViewingRequest.WATERMARK_BY_PAGE
BURNED_IN = live_view_service_pb2.CreateViewingRequest.WATERMARK_BURNED_IN
PAYLOAD_TYPE = 99
"""Of H.264 in aiortc's offers."""
UNSAID = live_view_service_pb2.CreateViewingRequest.WATERMARK_UNSPECIFIED


@contextlib.asynccontextmanager
async def feeding(anonymizer: harness.Anonymizer) -> AsyncIterator[None]:
    """A gateway that sends the frames of an optic at 25 per second of capture time."""
    async with anonymizer.redaction() as call:
        await call.write(harness.opening(harness.LIVE))
        await call.write(harness.frame_request(0, 0.0, verdict=harness.looked(0)))
        await call.read()

        async def feed() -> None:
            number = 1
            while True:
                await call.write(harness.frame_request(number, number / 25, verdict=harness.looked(number)))
                await call.read()
                number += 1
                await asyncio.sleep(0.01)

        task = asyncio.create_task(feed())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def permit(anonymizer: harness.Anonymizer, **fields: Any) -> live_view_service_pb2.Viewing:
    values: dict[str, Any] = {
        "optic": harness.OPTIC,
        "viewer": "operator/rossi",
        "purpose": "traffic",
        "audit_entry": "41",
        "watermark": BY_PAGE,
    }
    values |= fields
    async with anonymizer.channel("service/alerting") as channel:
        stub = live_view_service_pb2_grpc.LiveViewServiceStub(channel)
        return await stub.CreateViewing(live_view_service_pb2.CreateViewingRequest(**values))


class Viewer:
    """A WHEP client that is not ours: aiortc's own peer connection and decoder."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.peer.addTransceiver("video", direction="recvonly")
        self.frames: asyncio.Queue[VideoFrame] = asyncio.Queue()
        self.peer.on("track", lambda track: asyncio.ensure_future(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(Exception):
            while True:
                frame = await track.recv()
                assert isinstance(frame, VideoFrame)
                self.frames.put_nowait(frame)

    async def watch(self, session: aiohttp.ClientSession, viewing: live_view_service_pb2.Viewing) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        headers = {"Authorization": f"Bearer {viewing.token}", "Content-Type": "application/sdp"}
        async with session.post(viewing.whep_url, data=self.peer.localDescription.sdp, headers=headers) as response:
            assert response.status == 201, await response.text()
            await self.peer.setRemoteDescription(RTCSessionDescription(await response.text(), "answer"))
            return response.headers["Location"]


@contextlib.asynccontextmanager
async def watching(viewing: live_view_service_pb2.Viewing) -> AsyncIterator[tuple[Viewer, aiohttp.ClientSession, str]]:
    viewer = Viewer()
    async with aiohttp.ClientSession() as session:
        try:
            yield viewer, session, await viewer.watch(session, viewing)
        finally:
            await viewer.peer.close()


async def post(url: str, token: str, **headers: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as session:
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp", **headers}
        async with session.post(url, data="v=0", headers=sent) as response:
            await response.read()
            return response


async def test_two_viewers_receive_decodable_masked_pictures(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        first, second = await permit(anonymizer), await permit(anonymizer, viewer="operator/bianchi")
        async with watching(first) as (one, _, _), watching(second) as (two, _, _):
            pictures = [await viewer.frames.get() for viewer in (one, two) for _ in range(5)]
            watched = anonymizer.metric("argo_anonymizer_viewers", optic=harness.OPTIC)

    assert {(picture.width, picture.height) for picture in pictures} == {(harness.WIDTH, harness.HEIGHT)}
    assert all(picture.to_ndarray(format="gray").std() < 2 for picture in pictures)
    assert watched == 2


async def test_what_a_viewer_loses_is_sent_again(authority: CertificateAuthority) -> None:
    """A late joiner whose network loses a packet in seven, beside somebody else: no picture is missing all the same."""
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        first, second = await permit(anonymizer), await permit(anonymizer)
        async with watching(first) as (lucky, _, _):
            await lucky.frames.get()
            async with watching(second) as (unlucky, _, _):
                await unlucky.frames.get()
                lost = lose_one_in_seven(unlucky)
                times = [(await unlucky.frames.get()).pts or 0 for _ in range(30)]

    assert {after - before for before, after in itertools.pairwise(times)} == {90_000 // 25}
    assert next(lost) >= 3


def lose_one_in_seven(viewer: Viewer) -> itertools.count[int]:
    """From now on; gives the count of what was lost."""
    transport: Any = viewer.peer.getTransceivers()[0].receiver.transport.transport
    arrived, datagrams, lost = transport._recv, itertools.count(), itertools.count()

    async def lossy() -> bytes:
        while True:
            datagram: bytes = await arrived()
            if datagram[1] & 0x7F != PAYLOAD_TYPE or next(datagrams) % 7 != 3:
                return datagram
            next(lost)

    transport._recv = lossy
    return lost


@pytest.mark.parametrize("watermark", [BURNED_IN, UNSAID])
async def test_a_client_that_is_no_page_of_ours_sees_its_viewer_in_the_picture(
    authority: CertificateAuthority, watermark: Any
) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing = await permit(anonymizer, watermark=watermark)
        async with watching(viewing) as (viewer, _, _):
            pictures = [(await viewer.frames.get()).to_ndarray(format="gray") for _ in range(5)]

    for picture in pictures:
        # The street is one grey; the band below it is dark with bright letters, and the name stands across it.
        assert picture[-12:].min() < 40
        assert picture[-12:].max() > 180
        assert picture[:-12].std() > 2


async def test_a_still_bears_its_viewer_and_spends_its_token(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer), aiohttp.ClientSession() as session:
        viewing = await permit(anonymizer)
        headers = {"Authorization": f"Bearer {viewing.token}"}
        async with session.get(viewing.still_url, headers=headers) as response:
            content, kind, status = await response.read(), response.content_type, response.status
        async with session.get(viewing.still_url, headers=headers) as response:
            again = response.status
        elsewhere = await permit(anonymizer)
        async with session.get(
            elsewhere.still_url.replace("north", "south"), headers={"Authorization": f"Bearer {elsewhere.token}"}
        ) as response:
            other = response.status
        going_on = [each.name for each in anonymizer.book.going_on(0.0)]

    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (status, kind, again, other) == (200, "image/jpeg", 401, 403)
    assert picture is not None
    assert picture.shape == (harness.HEIGHT, harness.WIDTH)
    assert picture[-12:].max() > 180
    assert picture[:-12].std() > 2
    assert b"Exif" not in content
    assert going_on == [elsewhere.name]


async def test_delete_ends_a_session_and_its_place_is_free_again(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing = await permit(anonymizer)
        async with watching(viewing) as (viewer, session, location):
            await viewer.frames.get()
            async with session.delete(
                f"http://{anonymizer.web}{location}", headers={"Authorization": f"Bearer {viewing.token}"}
            ) as response:
                status = response.status
            going_on = anonymizer.book.going_on(0.0)

    assert status == 200
    assert going_on == []


async def test_only_the_holder_of_the_token_ends_a_session(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing, other = await permit(anonymizer), await permit(anonymizer)
        async with watching(viewing) as (viewer, session, location):
            await viewer.frames.get()
            url = f"http://{anonymizer.web}{location}"
            async with session.delete(url, headers={"Authorization": f"Bearer {other.token}"}) as response:
                foreign = response.status
            async with session.delete(url) as response:
                none = response.status

    assert (foreign, none) == (404, 401)


async def test_a_token_begins_one_session_of_one_optic(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing = await permit(anonymizer)
        elsewhere = await post(viewing.whep_url.replace("north", "south"), viewing.token)
        unknown = await post(viewing.whep_url, "x" * 43)
        async with watching(viewing) as (viewer, _, _):
            await viewer.frames.get()
            again = await post(viewing.whep_url, viewing.token)

    assert (elsewhere.status, unknown.status, again.status) == (403, 401, 401)


async def test_an_offer_that_is_none_is_refused(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        broken = await post((viewing := await permit(anonymizer)).whep_url, viewing.token)
        other = await post(viewing.whep_url, viewing.token, **{"Content-Type": "text/plain"})

    assert (broken.status, other.status) == (400, 415)


async def test_only_the_console_may_call_from_a_browser(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        viewing = await permit(anonymizer)
        console = await post(viewing.whep_url, "wrong", Origin=harness.CONSOLE)
        stranger = await post(viewing.whep_url, "wrong", Origin="http://elsewhere.test")

    assert console.headers["Access-Control-Allow-Origin"] == harness.CONSOLE
    assert "Access-Control-Allow-Origin" not in stranger.headers


async def test_an_optic_without_a_live_picture_is_not_found(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await permit(anonymizer)

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_more_viewers_than_the_policy_allows_are_refused(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        for _ in range(10):
            await permit(anonymizer)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await permit(anonymizer)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "fields",
    [
        {"viewer": ""},
        {"purpose": " "},
        {"audit_entry": ""},
        {"optic": "north"},
        {"token_lifetime": Duration(seconds=301)},
    ],
)
async def test_a_viewing_without_a_reason_on_record_is_refused(
    authority: CertificateAuthority, fields: dict[str, object]
) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await permit(anonymizer, **fields)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("path", ["operator/rossi", "service/camera-gateway"])
async def test_only_alerting_permits_viewings(authority: CertificateAuthority, path: str) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.channel(path) as channel:
        stub = live_view_service_pb2_grpc.LiveViewServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListViewings(live_view_service_pb2.ListViewingsRequest())

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_viewings_are_listed_in_pages_without_their_tokens(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        made = {(await permit(anonymizer)).name for _ in range(5)}
        listed: list[live_view_service_pb2.Viewing] = []
        token = ""
        async with anonymizer.channel("service/alerting") as channel:
            stub = live_view_service_pb2_grpc.LiveViewServiceStub(channel)
            while True:
                page = await stub.ListViewings(live_view_service_pb2.ListViewingsRequest(page_size=2, page_token=token))
                listed += page.viewings
                token = page.next_page_token
                if not token:
                    break

    assert {each.name for each in listed} == made
    assert all(not each.token for each in listed)


async def test_only_those_whom_the_policy_names_may_watch(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, feeding(anonymizer):
        for viewer in ("operator/rossi", "supervisor/bianchi", "tenants/carabinieri/operator/verdi"):
            await permit(anonymizer, viewer=viewer)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await permit(anonymizer, viewer="mobility/neri")
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await permit(anonymizer, viewer="rossi")

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "operator" in (refused.value.details() or "")
    assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
