"""RTP packets and RTCP sender reports (RFC 3550)."""

from __future__ import annotations

import dataclasses
import struct
from typing import Final

from camera_gateway.domain.clock import SenderReport

VERSION: Final = 2
RTP_HEADER: Final = 12
SENDER_REPORT: Final = 200
SENDER_REPORT_BYTES: Final = 28


@dataclasses.dataclass(frozen=True, slots=True)
class RtpPacket:
    """The fields of an RTP packet that a depacketizer needs; ``timestamp`` has 32 bits, ``sequence`` 16."""

    payload_type: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


def parse_rtp(data: bytes) -> RtpPacket | None:
    """One RTP packet, or None when the bytes are none."""
    if len(data) < RTP_HEADER or data[0] >> 6 != VERSION:
        return None
    flags, kind, sequence, timestamp = struct.unpack_from("!BBHI", data)
    start, end = RTP_HEADER + 4 * (flags & 0x0F), len(data)
    if flags & 0x10:  # header extension
        if end < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if flags & 0x20:  # padding: its length is the last byte
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(kind & 0x7F, sequence, timestamp, bool(kind & 0x80), data[start:end])


def parse_sender_report(data: bytes) -> SenderReport | None:
    """The sender report at the head of a compound RTCP packet, or None; an NTP time of zero means "no clock"."""
    if len(data) < SENDER_REPORT_BYTES or data[0] >> 6 != VERSION or data[1] != SENDER_REPORT:
        return None
    seconds, fraction, timestamp = struct.unpack_from("!III", data, 8)
    return SenderReport(seconds + fraction / 2**32, timestamp) if seconds else None
