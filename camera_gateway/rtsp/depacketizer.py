"""RTP payloads to access units: H.264 (RFC 6184, packetization modes 0 and 1) and H.265 (RFC 7798, without DONL)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from camera_gateway.rtsp.rtp import RtpPacket

START_CODE: Final = b"\x00\x00\x00\x01"
MAX_ACCESS_UNIT_BYTES: Final = 8 * 1024 * 1024
"""A 4K key frame is below 2 MiB; more than this is not video."""

STEP_BACK: Final = 0x8000
"""So many of the 16-bit sequence numbers ahead is behind: the camera began anew; of what was lost it says nothing."""

# NAL unit and payload types: RFC 6184, table 1; RFC 7798, section 4.4; ITU-T H.265, table 7-1.
H264_IDR: Final = 5
H264_SINGLE: Final = range(1, 24)
H264_STAP_A: Final = 24
H264_FU_A: Final = 28
HEVC_SINGLE: Final = range(48)
HEVC_AGGREGATION: Final = 48
HEVC_FRAGMENTATION: Final = 49
HEVC_NO_TYPE: Final = 63
HEVC_INTRA: Final = range(16, 22)
"""BLA, IDR and CRA pictures."""

H264_REFERENCE: Final = 0x60
"""nal_ref_idc: nothing refers to a NAL unit where it is 0 (ITU-T H.264, section 7.4.1)."""

HEVC_UNREFERENCED: Final = frozenset({0, 2, 4, 6, 8, 10, 12, 14, 35, 36, 37, 38, 39, 40})
"""Sub-layer non-reference pictures, and what is no part of a picture (delimiters, filler, SEI)."""

FU_A_HEADER: Final = 2
FU_HEADER: Final = 3
"""Bytes before the fragment's data."""


@dataclasses.dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture in Annex B form.

    Attributes:
        timestamp: RTP timestamp, 32 bit, in units of the track's clock rate.
        data: the NAL units, each behind a start code.
        key: whether it holds an intra picture from which decoding can begin.
        damaged: whether a packet of it was missing.
        reference: whether other pictures may refer to it.
    """

    timestamp: int
    data: bytes
    key: bool
    damaged: bool
    reference: bool = True


class Depacketizer:
    """Collects the packets of one track into access units.

    An access unit ends at the marker bit or when the timestamp changes, whichever comes first: some cameras never set
    the marker.

    Args:
        decoder: "h264" or "hevc".
    """

    def __init__(self, decoder: str) -> None:
        self._hevc = decoder == "hevc"
        self._sequence: int | None = None
        self._timestamp = 0
        self._data = bytearray()
        self._key = False
        self._reference = False
        self._damaged = False
        self._fragment = False
        self.lost_packets = 0

    def feed(self, packet: RtpPacket) -> list[AccessUnit]:
        """Take a packet; the access units that it completes (at most two)."""
        units: list[AccessUnit] = []
        if packet.timestamp != self._timestamp:
            self._finish(units)
            self._timestamp = packet.timestamp
        self._check_sequence(packet.sequence)
        if self._hevc:
            self._take_hevc(packet.payload)
        else:
            self._take_h264(packet.payload)
        if len(self._data) > MAX_ACCESS_UNIT_BYTES:
            self._reset()
        elif packet.marker:
            self._finish(units)
        return units

    def _check_sequence(self, sequence: int) -> None:
        if self._sequence is not None and sequence != (self._sequence + 1) % 0x1_0000:
            missing = (sequence - self._sequence - 1) % 0x1_0000
            self.lost_packets += missing if missing < STEP_BACK else 0
            self._damaged, self._fragment = True, False
        self._sequence = sequence

    def _finish(self, units: list[AccessUnit]) -> None:
        if self._data:
            units.append(AccessUnit(self._timestamp, bytes(self._data), self._key, self._damaged, self._reference))
        self._reset()

    def _reset(self) -> None:
        self._data.clear()
        self._key = self._damaged = self._fragment = self._reference = False

    def _append(self, unit: bytes) -> None:
        if not unit:
            return
        self._data += START_CODE
        self._data += unit
        self._fragment = False
        self._mark_key(unit[0])

    def _mark_key(self, first: int) -> None:
        if self._hevc:
            kind = first >> 1 & 0x3F
            self._key |= kind in HEVC_INTRA
            self._reference |= kind not in HEVC_UNREFERENCED
        else:
            self._key |= first & 0x1F == H264_IDR
            # Information that is no part of the picture (kinds 6 and 9 to 12) always has nal_ref_idc 0.
            self._reference |= bool(first & H264_REFERENCE)

    def _append_aggregate(self, payload: bytes, position: int) -> None:
        while position + 2 <= len(payload):
            size = int.from_bytes(payload[position : position + 2])
            position += 2
            if position + size > len(payload):
                self._damaged = True
                return
            self._append(payload[position : position + size])
            position += size

    def _append_fragment(self, header: bytes, body: bytes, *, first: bool, last: bool) -> None:
        if first:
            self._data += START_CODE
            self._data += header
            self._mark_key(header[0])
        elif not self._fragment:  # its beginning was lost
            self._damaged = True
            return
        self._data += body
        self._fragment = not last

    def _take_h264(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F if payload else 0
        if kind in H264_SINGLE:
            self._append(payload)
        elif kind == H264_STAP_A:
            self._append_aggregate(payload, 1)
        elif kind == H264_FU_A and len(payload) > FU_A_HEADER:
            header = bytes([payload[0] & 0xE0 | payload[1] & 0x1F])
            self._append_fragment(header, payload[2:], first=bool(payload[1] & 0x80), last=bool(payload[1] & 0x40))
        else:
            self._damaged = True

    def _take_hevc(self, payload: bytes) -> None:
        kind = payload[0] >> 1 & 0x3F if len(payload) >= FU_HEADER else HEVC_NO_TYPE
        if kind in HEVC_SINGLE:
            self._append(payload)
        elif kind == HEVC_AGGREGATION:
            self._append_aggregate(payload, 2)
        elif kind == HEVC_FRAGMENTATION and len(payload) > FU_HEADER:
            header = bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]])
            self._append_fragment(header, payload[3:], first=bool(payload[2] & 0x80), last=bool(payload[2] & 0x40))
        else:
            self._damaged = True
