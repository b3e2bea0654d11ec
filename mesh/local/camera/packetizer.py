"""RTP packets and RTCP sender reports, made by FFmpeg's ``rtp`` muxer."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av

from mesh.local.camera.sdp import CLOCK_RATE, PAYLOAD_TYPE, Codec

if TYPE_CHECKING:
    from mesh.local.camera.clip import AccessUnit

MAX_PACKET_BYTES: Final = 1400
"""Fits an Ethernet frame with room for tunnels, as cameras do; over TCP only the interleaving sees it."""

_RTCP_TYPES: Final = range(200, 205)
"""SR, RR, SDES, BYE and APP (RFC 3550 section 12.1)."""


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet is RTCP rather than RTP (RFC 5761 section 4)."""
    return packet[1] in _RTCP_TYPES


class _PacketSink:
    """A file-like object for the muxer: one write, one packet."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._packets.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        packets, self._packets = self._packets, []
        return packets


class Packetizer:
    """One RTP session: its own SSRC, sequence numbers and timestamp origin.

    The muxer relates timestamps to wall-clock time from the moment it is made: make it when the first frame is due,
    and give that frame the timestamp 0, or the sender reports lie.

    Args:
        codec: how the access units are coded.
        width: of the first pictures, in pixels; later ones may differ.
        height: likewise.
    """

    def __init__(self, codec: Codec, *, width: int, height: int) -> None:
        self._sink = _PacketSink()
        options = {"packetsize": str(MAX_PACKET_BYTES), "payload_type": str(PAYLOAD_TYPE)}
        self._muxer = av.open(self._sink, mode="w", format="rtp", options=options)
        self._stream = self._muxer.add_mux_stream(codec, width=width, height=height, time_base=Fraction(1, CLOCK_RATE))
        self._muxer.start_encoding()

    def packets(self, unit: AccessUnit, timestamp: int) -> list[bytes]:
        """Packetise one access unit.

        Args:
            unit: the access unit, in Annex B form.
            timestamp: its time in 90 kHz ticks since the session's first frame.

        Returns:
            RTP packets and, at the beginning and every five seconds, an RTCP sender report before them.
        """
        packet = av.Packet(unit.data)
        packet.pts = packet.dts = timestamp
        packet.time_base = Fraction(1, CLOCK_RATE)
        packet.is_keyframe = unit.is_key
        packet.stream = self._stream
        self._muxer.mux(packet)
        return self._sink.take()

    def close(self) -> None:
        """Free the muxer."""
        self._muxer.close()
