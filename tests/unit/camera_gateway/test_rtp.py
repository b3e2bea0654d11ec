from __future__ import annotations

import io
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.rtsp.depacketizer import START_CODE, AccessUnit, Depacketizer
from camera_gateway.rtsp.rtp import RtpPacket, parse_rtp, parse_sender_report

# --- RTP


def packet(payload: bytes, *, sequence: int = 1, timestamp: int = 0, marker: bool = False, flags: int = 0x80) -> bytes:
    return struct.pack("!BBHII", flags, 96 | marker << 7, sequence % 65536, timestamp, 7) + payload


def test_extension_contributors_and_padding_are_left_out() -> None:
    body = struct.pack("!I", 1) + struct.pack("!HHI", 0xBEDE, 1, 0) + b"data" + b"\x00\x00\x03"

    parsed = parse_rtp(packet(body, flags=0x80 | 0x20 | 0x10 | 1, marker=True))

    assert parsed == RtpPacket(96, 1, 0, True, b"data")


@given(st.binary(max_size=80))
def test_no_bytes_make_rtp_and_rtcp_fail(data: bytes) -> None:
    parsed = parse_rtp(data)
    parse_sender_report(data)

    assert parsed is None or len(parsed.payload) <= len(data) - 12


def test_a_sender_report() -> None:
    data = struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, 3_900_000_000, 1 << 31, 90_000, 1, 1)

    report = parse_sender_report(data)

    assert report is not None
    assert (report.ntp_seconds, report.rtp_timestamp) == (3_900_000_000.5, 90_000)
    assert parse_sender_report(data[:8] + bytes(8) + data[16:]) is None


# --- depacketizing: real coded pictures, cut by the RFCs' rules


def coded_pictures(encoder: str) -> list[bytes]:
    buffer = io.BytesIO()
    options = {"x265-params": "log-level=none:bframes=0:keyint=5"} if encoder == "libx265" else {"bf": "0", "g": "5"}
    with av.open(buffer, "w", format="h264" if encoder == "libx264" else "hevc") as container:
        stream = container.add_stream(encoder, rate=10, options={**options, "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        noise = np.random.default_rng(3)
        frames = [noise.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(8)]
        packets = [p for f in frames for p in stream.encode(av.VideoFrame.from_ndarray(f, format="rgb24"))]
        return [bytes(p) for p in packets + stream.encode(None) if p.size]


def nal_units(picture: bytes) -> list[bytes]:
    return [unit for unit in picture.replace(START_CODE, b"\x00\x00\x01").split(b"\x00\x00\x01") if unit]


def fragments(unit: bytes, *, hevc: bool, size: int = 900) -> list[bytes]:
    if len(unit) <= size:
        return [unit]
    if hevc:
        head, kind, body = bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F, unit[2:]
    else:
        head, kind, body = bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F, unit[1:]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return [
        head + bytes([kind | (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)]) + piece
        for number, piece in enumerate(pieces)
    ]


def aggregate(units: list[bytes], *, hevc: bool) -> bytes:
    head = bytes([48 << 1, 1]) if hevc else bytes([24])
    return head + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def packetize(picture: bytes, *, hevc: bool) -> list[bytes]:
    units = nal_units(picture)
    small = [unit for unit in units[:-1] if len(unit) < 200]
    payloads = [aggregate(small, hevc=hevc)] if len(small) > 1 else list(small)
    return payloads + [piece for unit in units if unit not in small for piece in fragments(unit, hevc=hevc)]


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def coded(request: pytest.FixtureRequest) -> tuple[str, list[bytes]]:
    return ("hevc" if request.param == "libx265" else "h264"), coded_pictures(request.param)


def depacketize(
    decoder: str, pictures: list[bytes], *, lose: int | None = None, marker: bool = True
) -> list[AccessUnit]:
    depacketizer = Depacketizer(decoder)
    units: list[AccessUnit] = []
    sequence = 65530
    for number, picture in enumerate(pictures):
        payloads = packetize(picture, hevc=decoder == "hevc")
        for position, payload in enumerate(payloads):
            sequence += 1
            if sequence - 65530 == lose:
                continue
            last = marker and position == len(payloads) - 1
            parsed = parse_rtp(packet(payload, sequence=sequence, timestamp=number * 9000, marker=last))
            assert parsed is not None
            units += depacketizer.feed(parsed)
    return units


@pytest.mark.parametrize("marker", [True, False])
def test_pictures_survive_the_packets(coded: tuple[str, list[bytes]], *, marker: bool) -> None:
    decoder, pictures = coded

    units = depacketize(decoder, pictures, marker=marker)

    expected = pictures if marker else pictures[:-1]
    assert [nal_units(unit.data) for unit in units] == [nal_units(picture) for picture in expected]
    assert [unit.key for unit in units] == [number % 5 == 0 for number in range(len(units))]
    assert not any(unit.damaged for unit in units)


def test_a_lost_packet_damages_one_picture_only(coded: tuple[str, list[bytes]]) -> None:
    decoder, pictures = coded

    units = depacketize(decoder, pictures, lose=6)

    assert sum(unit.damaged for unit in units) == 1
    assert len(units) == len(pictures)


@given(st.lists(st.binary(max_size=30), max_size=20), st.sampled_from(["h264", "hevc"]))
def test_no_payload_makes_the_depacketizer_fail(payloads: list[bytes], decoder: str) -> None:
    depacketizer = Depacketizer(decoder)
    units = [
        unit
        for number, payload in enumerate(payloads)
        for unit in depacketizer.feed(RtpPacket(96, number, number // 3, number % 4 == 3, payload))
    ]

    assert all(unit.data.startswith(START_CODE) for unit in units)
