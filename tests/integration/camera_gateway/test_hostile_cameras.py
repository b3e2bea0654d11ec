"""Cameras that answer anything at all: every session ends with a named reason, and nothing else is ever dialled."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera_gateway.access import Access
from camera_gateway.domain.liveness import Reason
from camera_gateway.pipeline import Decoding
from camera_gateway.rtsp.address import Dialling
from camera_gateway.rtsp.source import RtspSource, Transport
from camera_gateway.rtsp.trust import CameraTrust
from camera_gateway.sources import Listener, SourceError
from camera_gateway.views import Views
from tests.integration.camera_gateway.test_faulty_cameras import SDP, Handler, reply, scripted
from tests.unit.camera_gateway.test_pipeline import Heard

NETWORK = ipaddress.ip_network("127.0.0.2/32")
INTERNAL = {Reason.INTERNAL}


def source(
    address: str, transport: Transport = Transport.TCP, answers: Mapping[str, Sequence[str]] | None = None
) -> RtspSource:
    async def resolver(host: str) -> Sequence[str]:
        if answers is not None and host in answers:
            return answers[host]
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            raise OSError("unknown") from None

    return RtspSource(
        address,
        "/stream",
        transport=transport,
        access=Access(credentials=lambda: None, trust=CameraTrust),
        dialling=Dialling([NETWORK], resolver),
        decoding=Decoding(ThreadPoolExecutor(1), Views()),
    )


async def ending(dialled: RtspSource) -> Reason:
    """How the session ends; the limit only ends a test that would hang."""
    async with asyncio.timeout(30):
        with pytest.raises(SourceError) as caught:
            await dialled.run(cast("Listener", Heard()))
    return caught.value.reason


def camera(described: bytes, *headers: str, set_up: Sequence[str] = ("Session: 1",)) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            sequence = next(line for line in head.split(b"\r\n") if line.startswith(b"CSeq:")).split(b":")[1].strip()
            if head.startswith(b"DESCRIBE"):
                writer.write(reply(sequence, *headers, body=described))
            else:
                writer.write(reply(sequence, *set_up))
                if head.startswith(b"PLAY"):
                    writer.close()
                    return

    return handle


OUTSIDE = ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "10.0.0.1", "[64:ff9b::7f00:1]", "inside-and-out", "changed"]


@pytest.mark.parametrize("host", OUTSIDE)
@pytest.mark.parametrize("place", ["Content-Base", "Content-Location", "control"])
async def test_a_url_outside_the_camera_networks_is_refused_wherever_it_stands(host: str, place: str) -> None:
    url = f"rtsp://{host}:9/stream/"
    described = SDP.replace(b"control:track", b"control:" + url.encode()) if place == "control" else SDP
    headers = [] if place == "control" else [f"{place}: {url}"]
    answers = {"inside-and-out": ["127.0.0.2", "127.0.0.1"], "changed": ["127.0.0.1"]}
    async with scripted(camera(described, *headers), "127.0.0.2") as address:
        assert await ending(source(address, answers=answers)) is Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS


@pytest.mark.parametrize("url", ["rtsp://[/", "http://[::1"])
async def test_a_url_that_cannot_be_read_is_a_protocol_error(url: str) -> None:
    async with scripted(camera(SDP, f"Content-Base: {url}"), "127.0.0.2") as address:
        assert await ending(source(address)) is Reason.PROTOCOL_ERROR


async def test_a_source_in_the_transport_header_is_not_followed() -> None:
    """Over UDP the camera may name another sender: nothing is sent there, and nothing from there is heard."""
    dialled: list[bytes] = []

    class Elsewhere(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            dialled.append(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Elsewhere, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    elsewhere = f"Transport: RTP/AVP;unicast;source=127.0.0.1;destination=127.0.0.1;server_port={port}-{port}"
    handle = camera(SDP, set_up=("Session: 1", elsewhere))
    async with scripted(handle, "127.0.0.2") as address:
        assert await ending(source(address, Transport.UDP)) is Reason.END_OF_STREAM
    transport.close()

    assert not dialled


async def test_a_name_that_changes_its_mind_between_two_redirects_is_refused() -> None:
    answers: dict[str, Sequence[str]] = {"camera": ["127.0.0.2"]}

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answers["camera"] = ["127.0.0.1"]
        writer.write(reply(b"1", "Location: rtsp://camera:9/again", status="302 Moved"))

    async with scripted(redirect, "127.0.0.2") as address:
        dialled = source(address.replace("127.0.0.2", "camera"), answers=answers)
        assert await ending(dialled) is Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS


fragments = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 9\r\n\r\nm=video 0",
            b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: %d\r\n\r\n%s" % (len(SDP), SDP),
            b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=x\r\nTransport: ;interleaved=999-1\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n",
            b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest nonce="\r\n\r\n',
            b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://[\r\n\r\n",
            b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
            b"$\x00\x00\x10\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x65abc",
            b"$\x01\x00\x04\x80\xc8\x00\x00",
        ]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(fragments, max_size=12))
def test_whatever_a_camera_answers_ends_with_a_named_reason_that_is_not_our_own_error(answer: list[bytes]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for fragment in answer:
            writer.write(fragment)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def play() -> Reason | None:
        async with scripted(handle, "127.0.0.2") as address:
            return await ending(source(address))

    assert asyncio.run(play()) not in INTERNAL


lines = st.lists(
    st.one_of(
        st.sampled_from(SDP.decode().splitlines()),
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30),
        st.sampled_from(["m=audio 0 RTP/AVP 8", "m=application 0 RTP/AVP 107", "a=control:rtsp://[", "a=fmtp:96 =;;="]),
    ),
    max_size=15,
)


@settings(max_examples=60, deadline=None)
@given(lines)
def test_whatever_a_description_says_ends_with_a_named_reason(description: list[str]) -> None:
    async def play() -> Reason | None:
        async with scripted(camera("\r\n".join(description).encode()), "127.0.0.2") as address:
            return await ending(source(address))

    assert asyncio.run(play()) not in INTERNAL
