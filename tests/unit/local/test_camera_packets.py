"""RTP payloads, packets and sender reports, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.local.camera.payload import MAX_PAYLOAD_BYTES, payloads_of
from mesh.local.camera.rtp import RtpStream
from mesh.local.camera.sdp import Codec, describe
from mesh.local.camera.tracks import EXTRA_TRACKS

START = b"\x00\x00\x00\x01"
# No zeros: nothing in them looks like a start code.
BODIES = st.integers(1, 5000).map(lambda size: bytes(1 + number % 255 for number in range(size)))


def _assembled(codec: Codec, payloads: tuple[bytes, ...]) -> list[bytes]:
    """The NAL units that a receiver makes of payloads (RFC 6184 section 5.8, RFC 7798 section 4.4.3)."""
    units: list[bytes] = []
    for payload in payloads:
        if codec == "h264" and payload[0] & 0x1F == 28:
            head, flags, body = bytes([payload[0] & 0xE0 | payload[1] & 0x1F]), payload[1], payload[2:]
        elif codec == "hevc" and payload[0] >> 1 & 0x3F == 49:
            head, flags, body = (
                bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]]),
                payload[2],
                payload[3:],
            )
        else:
            units.append(payload)
            continue
        if flags & 0x80:
            units.append(head + body)
        else:
            units[-1] += body
        assert not (flags & 0x80 and flags & 0x40)
    return units


@given(st.lists(BODIES, min_size=1, max_size=4))
@pytest.mark.parametrize(("codec", "header"), [("h264", b"\x65"), ("hevc", b"\x26\x01")])
def test_units_come_out_as_they_went_in(codec: Codec, header: bytes, bodies: list[bytes]) -> None:
    units = [header + body for body in bodies]
    payloads = payloads_of(codec, b"".join(START + unit for unit in units))

    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
    assert _assembled(codec, payloads) == units


def test_last_fragment_carries_the_end_bit() -> None:
    payloads = payloads_of("h264", START + b"\x65" + b"\x01" * 4000)

    assert [payload[1] & 0xC0 for payload in payloads] == [0x80, 0x00, 0x40]


def test_packets_count_on_and_the_last_one_is_marked() -> None:
    stream = RtpStream(0xCAFE, 65_535, 96)
    packets = stream.packets([b"a", b"b"], 2**32 + 7)

    headers = [struct.unpack(">BBHII", packet[:12]) for packet in packets]
    assert headers == [(0x80, 96, 65_535, 7, 0xCAFE), (0x80, 96 | 0x80, 0, 7, 0xCAFE)]


def test_sender_report_has_the_layout_of_rfc_3550() -> None:
    stream = RtpStream(0xCAFE, 0, 96)
    stream.packets([b"four", b"five5"], 0)
    report = stream.sender_report(0.5, 77)

    assert struct.unpack(">BBHI", report[:8]) == (0x80, 200, 6, 0xCAFE)
    assert struct.unpack(">II", report[8:16]) == (2_208_988_800, 2**31)
    assert struct.unpack(">III", report[16:28]) == (77, 2, 9)
    flags, kind, words = struct.unpack(">BBH", report[28:32])
    assert (flags, kind, len(report)) == (0x81, 202, 32 + 4 * words)
    assert report[32:44] == struct.pack(">I", 0xCAFE) + b"\x01\x06camera"


def test_session_description_lists_the_tracks_that_are_offered() -> None:
    unit = START + b"\x67\x64\x00\x1e" + START + b"\x68\xeb" + START + b"\x65\x88"
    text = describe("h264", unit, address="::1", extra=[track.description for track in EXTRA_TRACKS.values()]).decode()

    assert "c=IN IP6 ::1\r\n" in text
    assert [line for line in text.split("\r\n") if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 96",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 RTP/AVP 107",
    ]
