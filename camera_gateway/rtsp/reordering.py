"""Puts RTP packets that came over UDP back into the order in which they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from camera_gateway.rtsp.rtp import RtpPacket

DEPTH: Final = 16
"""Packets that may wait for one before them: on a wired network packets overtake each other by a few places."""

LARGEST_JUMP: Final = 3000
"""A sequence number further away than this begins a new sequence (RFC 3550, appendix A.1: MAX_DROPOUT)."""


class Reordering:
    """Holds packets back until those before them have come, or are given up."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, RtpPacket] = {}
        self.late = 0
        """Packets that came after they had been given up, or twice."""

    def push(self, packet: RtpPacket) -> list[RtpPacket]:
        """Take a packet as it came; those whose turn it is, in order."""
        if self._next is None:
            self._next = packet.sequence
        ahead = _distance(packet.sequence, self._next)
        if abs(ahead) > LARGEST_JUMP:
            before = self._flush()
            self._next = packet.sequence
            return [*before, *self.push(packet)]
        if ahead < 0 or packet.sequence in self._waiting:
            self.late += 1
            return []
        self._waiting[packet.sequence] = packet
        if len(self._waiting) > DEPTH:
            first = self._next
            self._next = min(self._waiting, key=lambda sequence: _distance(sequence, first))
        return self._take()

    def _take(self) -> list[RtpPacket]:
        ready: list[RtpPacket] = []
        while self._next in self._waiting:
            ready.append(self._waiting.pop(self._next))
            self._next = (self._next + 1) % 0x1_0000
        return ready

    def _flush(self) -> list[RtpPacket]:
        first = self._next or 0
        ordered = sorted(self._waiting, key=lambda sequence: _distance(sequence, first))
        return [self._waiting.pop(sequence) for sequence in ordered]


def _distance(sequence: int, since: int) -> int:
    """How far ``sequence`` is ahead of ``since``, as a signed number, across the wrap at 65 536."""
    return (sequence - since + 0x8000) % 0x1_0000 - 0x8000
