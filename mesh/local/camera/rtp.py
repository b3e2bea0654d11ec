"""RTP packets and RTCP sender reports (RFC 3550). Pure: bytes out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION: Final = 0x80
_MARKER: Final = 0x80
_NTP_EPOCH: Final = 2_208_988_800
"""Seconds from 1900 (NTP) to 1970 (Unix) (RFC 868)."""
_SENDER_REPORT, _SOURCE_DESCRIPTION, _CNAME = 200, 202, 1


class RtpStream:
    """One synchronisation source: its SSRC, sequence numbers and counters.

    Args:
        ssrc: 32-bit source identifier.
        sequence: number of the first packet, 16 bits.
        payload_type: 7 bits.
    """

    def __init__(self, ssrc: int, sequence: int, payload_type: int) -> None:
        self.ssrc = ssrc
        self._sequence = sequence
        self._payload_type = payload_type
        self._packets = 0
        self._octets = 0

    def packets(self, payloads: Sequence[bytes], timestamp: int, *, marker: bool = True) -> list[bytes]:
        """Give each payload its header.

        Args:
            payloads: of one access unit.
            timestamp: in ticks of the media clock; taken modulo 2**32.
            marker: whether the last packet carries the marker bit.
        """
        packets = []
        last = len(payloads) - 1
        for number, payload in enumerate(payloads):
            flags = self._payload_type | (_MARKER if marker and number == last else 0)
            header = struct.pack(">BBHII", _VERSION, flags, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, self.ssrc)
            packets.append(header + payload)
            self._sequence += 1
            self._octets += len(payload)
        self._packets += len(packets)
        return packets

    def sender_report(self, wall_seconds: float, timestamp: int) -> bytes:
        """A compound packet of a sender report and a CNAME (RFC 3550 sections 6.4.1 and 6.5.1).

        Args:
            wall_seconds: Unix time that the report claims.
            timestamp: the RTP timestamp of the same instant; taken modulo 2**32.
        """
        ntp = round((wall_seconds + _NTP_EPOCH) * 2**32) & 0xFFFFFFFFFFFFFFFF
        counters = (self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF)
        report = struct.pack(
            ">BBHIQIII", _VERSION, _SENDER_REPORT, 6, self.ssrc, ntp, timestamp & 0xFFFFFFFF, *counters
        )
        item = bytes([_CNAME, 6]) + b"camera"
        chunk = struct.pack(">I", self.ssrc) + item + b"\x00" * (4 - len(item) % 4)
        return report + struct.pack(">BBH", _VERSION | 1, _SOURCE_DESCRIPTION, len(chunk) // 4) + chunk
