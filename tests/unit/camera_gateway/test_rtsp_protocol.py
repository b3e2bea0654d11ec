from __future__ import annotations

import asyncio
import base64
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_gateway.rtsp import sdp
from camera_gateway.rtsp.address import CameraAddress, resolve
from camera_gateway.rtsp.authentication import Authenticator, Credentials
from camera_gateway.rtsp.depacketizer import START_CODE
from camera_gateway.rtsp.messages import (
    Interleaved,
    Message,
    MessageParser,
    ProtocolError,
    Reply,
    ServerRequest,
    format_request,
)

# --- messages

STREAM = (
    b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 42;timeout=30\r\nContent-Length: 4\r\n\r\nbody"
    b"$\x00\x00\x03abc"
    b"\r\n"
    b"OPTIONS rtsp://gateway RTSP/1.0\r\nCSeq: 9\r\n\r\n"
    b"$\x01\x00\x00"
)
MESSAGES: list[Message] = [
    Reply(200, {"cseq": ["3"], "session": ["42;timeout=30"], "content-length": ["4"]}, b"body"),
    Interleaved(0, b"abc"),
    ServerRequest("OPTIONS", "9"),
    Interleaved(1, b""),
]


@given(st.lists(st.integers(0, len(STREAM))))
def test_messages_come_out_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    parser = MessageParser()
    edges = [0, *sorted(cuts), len(STREAM)]
    messages = [message for start, end in itertools.pairwise(edges) for message in parser.feed(STREAM[start:end])]

    assert messages == MESSAGES


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([STREAM, b"RTSP/1.0 ", b"\r\n\r\n", b"$\x00"]))))
def test_no_bytes_make_the_parser_fail_in_another_way_or_keep_more_than_its_limit(chunks: list[bytes]) -> None:
    parser = MessageParser()
    try:
        for chunk in chunks:
            parser.feed(chunk)
    except ProtocolError:
        return
    assert len(parser._buffer) < 16 * 1024 + 64 * 1024 + 4


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x00\x01\x02",
        b"RTSP/1.0 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"a" * 20_000,
    ],
)
def test_what_is_not_rtsp_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        MessageParser().feed(data)


def test_a_line_break_does_not_smuggle_a_header() -> None:
    with pytest.raises(ValueError, match="line break"):
        format_request("SETUP", "rtsp://camera/\r\nX: y", {})


# --- authentication


def test_the_digest_of_rfc_2617_section_3_5() -> None:
    challenge = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    auth = Authenticator(Credentials("Mufasa", "Circle Of Life"), lambda: "0a4f113b", encrypted=False)

    assert auth.challenge([challenge])
    header = auth.authorization("GET", "/dir/index.html")

    assert header is not None
    assert 'response="6629fae49393a05397450978507c4ef1"' in header
    assert "nc=00000001" in header
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in header


def test_digest_is_preferred_to_basic_whatever_their_order() -> None:
    auth = Authenticator(Credentials("u", "p"), lambda: "c", encrypted=False)

    assert auth.challenge(['Basic realm="x"', 'Digest realm="x", nonce="n"'])

    assert (auth.authorization("DESCRIBE", "rtsp://c/") or "").startswith("Digest ")


def test_basic() -> None:
    auth = Authenticator(Credentials("Aladdin", "open sesame"), lambda: "c", encrypted=True)

    assert auth.authorization("DESCRIBE", "rtsp://c/") is None
    assert auth.challenge(['Basic realm="x"'])
    assert auth.authorization("DESCRIBE", "rtsp://c/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert not auth.challenge(['Basic realm="x"'])


def test_basic_in_clear_text_needs_leave() -> None:
    without = Authenticator(Credentials("u", "p"), lambda: "c", encrypted=False)
    with_leave = Authenticator(Credentials("u", "p", plain_basic=True), lambda: "c", encrypted=False)

    assert not without.challenge(['Basic realm="x"'])
    assert without.basic_refused
    assert without.authorization("DESCRIBE", "rtsp://c/") is None
    assert with_leave.challenge(['Basic realm="x"'])


def test_who_answered_digest_once_is_not_talked_into_basic() -> None:
    auth = Authenticator(Credentials("u", "p"), lambda: "c", encrypted=True)
    auth.challenge(['Digest realm="x", nonce="n"'])

    assert not auth.challenge(['Basic realm="x"'])
    assert (auth.authorization("PLAY", "rtsp://c/") or "").startswith("Digest ")


def test_a_refused_digest_is_not_tried_again_but_a_stale_nonce_is() -> None:
    auth = Authenticator(Credentials("u", "p"), lambda: "c", encrypted=False)

    assert auth.challenge(['Digest realm="x", nonce="n1"'])
    assert not auth.challenge(['Digest realm="x", nonce="n2"'])
    assert auth.challenge(['Digest realm="x", nonce="n3", stale=TRUE'])


@pytest.mark.parametrize(
    "challenge", ["", "Bearer", 'Digest realm="x", nonce="n", algorithm=SHA-512', "Digest realm=x"]
)
def test_an_unknown_challenge_is_not_answered(challenge: str) -> None:
    assert not Authenticator(Credentials("u", "p"), lambda: "c", encrypted=False).challenge([challenge])


def test_credentials_do_not_show() -> None:
    assert "canary" not in repr(Credentials("canary", "canary"))


# --- session description

DESCRIPTION = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n"
    "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:audio\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\na=fmtp:96 {fmtp}\r\na=control:{control}\r\n"
)
BASE = "rtsp://10.0.0.1/stream"


def describe(codec: str = "H264", fmtp: str = "packetization-mode=1", control: str = "track") -> str:
    return DESCRIPTION.format(codec=codec, fmtp=fmtp, control=control)


@pytest.mark.parametrize(("codec", "decoder"), [("H264", "h264"), ("h264", "h264"), ("H265", "hevc")])
def test_the_video_is_chosen_and_audio_is_not(codec: str, decoder: str) -> None:
    track = sdp.choose_video(describe(codec), BASE)

    assert (track.decoder, track.payload_type, track.clock_rate) == (decoder, 96, 90_000)


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        (BASE, "trackID=1", "rtsp://10.0.0.1/stream/trackID=1"),
        (BASE + "/", "trackID=1", "rtsp://10.0.0.1/stream/trackID=1"),
        (BASE + "?channel=1", "trackID=1", "rtsp://10.0.0.1/stream?channel=1/trackID=1"),
        (BASE, "rtsp://10.0.0.1/other", "rtsp://10.0.0.1/other"),
        (BASE, "*", BASE),
    ],
)
def test_control_urls_are_made_as_cameras_expect_them(base: str, control: str, url: str) -> None:
    assert sdp.choose_video(describe(control=control), base).control == url


def test_parameter_sets_are_in_annex_b_and_broken_ones_left_out() -> None:
    sets = ",".join([base64.b64encode(b"sps").decode(), "!", base64.b64encode(b"pps").decode()])

    track = sdp.choose_video(describe(fmtp=f"packetization-mode=1; sprop-parameter-sets={sets}"), BASE)

    assert START_CODE + b"sps" in track.parameter_sets
    assert track.parameter_sets.endswith(START_CODE + b"pps")


@pytest.mark.parametrize("text", ["", "m=video 0 RTP/AVP 26\r\n", describe("JPEG"), "m=video\r\na=rtpmap:x y\r\n"])
def test_no_video_that_is_spoken_here(text: str) -> None:
    with pytest.raises(sdp.NoVideoError):
        sdp.choose_video(text, BASE)


@given(st.lists(st.sampled_from([*describe().splitlines(), "m=", "a=rtpmap:", "a=fmtp:96", "=", "a=rtpmap:٣ H264/٩"])))
def test_no_description_makes_it_fail_in_another_way(lines: list[str]) -> None:
    try:
        track = sdp.choose_video("\r\n".join(lines), BASE)
    except sdp.NoVideoError:
        return
    assert track.decoder == "h264"


# --- addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 554)),
        ("camera.local:8554", ("camera.local", 8554)),
        ("[fd00::1]:8554", ("fd00::1", 8554)),
        ("[fd00::1]", ("fd00::1", 554)),
        ("fd00::1", ("fd00::1", 554)),
    ],
)
def test_addresses_of_the_registry(text: str, expected: tuple[str, int]) -> None:
    address = CameraAddress.of_device("rtsp", text, "/")

    assert (address.host, address.port) == expected


@pytest.mark.parametrize("text", ["", "camera:", "camera:http", "[fd00::1]:x"])
def test_an_address_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|int"):
        CameraAddress.of_device("rtsp", text, "/")


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "fe80::1%eth0"])
async def test_an_ip_address_is_its_own_while_every_thread_waits_for_a_resolver(host: str) -> None:
    answered = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(answered.wait)
        try:
            async with asyncio.timeout(30):
                assert await resolve(host) == [host]
        finally:
            answered.set()


@pytest.mark.parametrize("name", ["x" * 300, "a..b"])
async def test_what_is_no_host_name_is_an_os_error(name: str) -> None:
    with pytest.raises(OSError, match="host name"):
        await resolve(name)


HERE = CameraAddress("rtsp", "10.0.0.1", 554, "/stream")


def test_a_redirect_s_credentials_are_left_out() -> None:
    address = HERE.redirected("rtsp://user:canary@[fd00::1]:8554/path?x=1")

    assert address.url == "rtsp://[fd00::1]:8554/path?x=1"


def test_a_redirect_may_lead_into_encryption_and_not_out_of_it() -> None:
    inside = HERE.redirected("rtsps://10.0.0.1/x")

    assert (inside.port, inside.encrypted) == (322, True)
    with pytest.raises(ValueError, match="protocol"):
        inside.redirected("rtsp://10.0.0.1/x")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "rtsp:///x", "x", "", "rtsp://[", "rtsp://10.0.0.1:port/"])
def test_what_is_no_rtsp_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"protocol|IPv6|[Pp]ort"):
        HERE.redirected(url)
