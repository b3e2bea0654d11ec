"""The RTSP dialogue's pure parts: requests, transports, authentication, session description."""

from __future__ import annotations

import base64
import hashlib

import pytest

from mesh.local.camera.authentication import REALM, Authenticator
from mesh.local.camera.rtsp import (
    Interleaved,
    MalformedRequestError,
    Request,
    Transport,
    Unicast,
    format_response,
    parse_request,
    parse_transport,
)
from mesh.local.camera.sdp import describe, split_annex_b

SPS = bytes.fromhex("6764001eacd9")
PPS = bytes.fromhex("68ebe3cb")
IDR = b"\x65\x88\x84"


def test_request_headers_are_case_insensitive() -> None:
    request = parse_request(b"SETUP rtsp://a/s RTSP/1.0\r\nCSEQ: 7\r\ntransport:  RTP/AVP \r\n\r\n")

    assert (request.method, request.sequence, request.headers["transport"]) == ("SETUP", "7", "RTP/AVP")


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PLAY rtsp://a\r\n\r\n",
        b"\xff\xfe RTSP/1.0\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        parse_request(head)


@pytest.mark.parametrize("length", ["-1", "x", "999999", "\u0661"])
def test_bad_content_length_is_refused(length: str) -> None:
    request = parse_request(f"OPTIONS * RTSP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())

    with pytest.raises(MalformedRequestError):
        _ = request.content_length


@pytest.mark.parametrize(
    ("header", "transport"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", Interleaved(4, 5)),
        ("RTP/AVP/TCP;interleaved=6", Interleaved(6, 7)),
        ("RTP/AVP/TCP;unicast", Interleaved(2, 3)),
        ("RTP/AVP;unicast;client_port=5000-5001, RTP/AVP/TCP;interleaved=2-3", Unicast(5000, 5001)),
        ("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=2-3", Interleaved(2, 3)),
        ("RTP/AVP/UDP;unicast;client_port=5000", Unicast(5000, 5001)),
        ("rtp/avp;unicast;Client_Port=5000-5003", Unicast(5000, 5003)),
        ("RTP/AVP;unicast;client_port=0-1", None),
        ("RTP/AVP;unicast;client_port=65535", None),
        ("RTP/AVP;multicast;client_port=5000-5001", None),
        ("RTP/AVP;unicast", None),
        ("RTP/SAVP;unicast;client_port=5000-5001", None),
        ("RTP/AVP/TCP;interleaved=300-301", None),
        ("RTP/AVP/TCP;interleaved=a-b", None),
        ("RTP/AVP/TCP;interleaved=\u0661", None),
        ("", None),
    ],
)
def test_first_transport_that_can_be_met_is_taken(header: str, transport: Transport | None) -> None:
    assert parse_transport(header, free_channel=2) == transport


@pytest.mark.parametrize(
    ("url", "path", "control"),
    [
        ("rtsp://a/s", "/s", ""),
        ("rtsp://a:554/s/1/trackID=2", "/s/1", "trackID=2"),
        ("rtsps://a/s/?x=/y", "/s", ""),
        ("rtsp://a", "/", ""),
        ("*", "/", ""),
    ],
)
def test_url_names_the_stream_and_the_track(url: str, path: str, control: str) -> None:
    request = Request("SETUP", url, "RTSP/1.0")

    assert (request.stream_path, request.control) == (path, control)


def test_response_repeats_the_sequence_and_counts_the_body() -> None:
    response = format_response(200, "3", [("Session", "ab")], b"v=0\r\n")

    assert response == b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: ab\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def _digest(user: str, password: str, nonce: str, method: str, extra: str = "") -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    middle = f"{nonce}:00000001:c:auth" if extra else nonce
    response = md5(f"{md5(f'{user}:{REALM}:{password}')}:{middle}:{md5(f'{method}:rtsp://a/s')}")
    return f'Digest username="{user}", realm="{REALM}", nonce="{nonce}", uri="rtsp://a/s", response="{response}"{extra}'


@pytest.mark.parametrize("extra", ["", ', qop=auth, nc=00000001, cnonce="c"'])
def test_digest_proves_the_password_for_one_method(extra: str) -> None:
    authenticator = Authenticator("guard", "secret", "n1")

    assert authenticator.accepts("PLAY", _digest("guard", "secret", "n1", "PLAY", extra))
    assert not authenticator.accepts("SETUP", _digest("guard", "secret", "n1", "PLAY", extra))
    assert not authenticator.accepts("PLAY", _digest("guard", "wrong", "n1", "PLAY", extra))
    assert not authenticator.accepts("PLAY", _digest("guard", "secret", "old", "PLAY", extra))


def test_basic_is_only_accepted_where_it_is_offered() -> None:
    header = "Basic " + base64.b64encode(b"guard:secret").decode()

    assert Authenticator("guard", "secret", "n", "basic").accepts("PLAY", header)
    assert Authenticator("guard", "secret", "n", "both").accepts("PLAY", header)
    assert not Authenticator("guard", "secret", "n", "digest").accepts("PLAY", header)
    assert not Authenticator("guard", "other", "n", "basic").accepts("PLAY", header)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Digest", "Bearer x", "Basic " + "é"])
def test_malformed_credentials_are_refused(header: str) -> None:
    assert not Authenticator("guard", "secret", "n").accepts("PLAY", header)


def test_annex_b_is_split_at_both_start_codes() -> None:
    assert split_annex_b(b"\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\0\1" + IDR) == [SPS, PPS, IDR]


def test_session_description_names_profile_and_parameter_sets() -> None:
    text = describe("h264", b"\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\1" + IDR, address="127.0.0.1").decode()

    assert "a=rtpmap:96 H264/90000\r\n" in text
    assert "profile-level-id=64001e" in text
    sets = f"{base64.b64encode(SPS).decode()},{base64.b64encode(PPS).decode()}"
    assert f"sprop-parameter-sets={sets}" in text


def test_session_description_needs_the_parameter_sets() -> None:
    with pytest.raises(ValueError, match="parameter sets"):
        describe("h264", b"\0\0\1" + SPS + b"\0\0\1" + IDR, address="127.0.0.1")
