"""One optic's pictures to everyone who watches it: packed into RTP once, sealed and sent for each.

What aiortc does for each viewer alone (splitting pictures into payloads, keeping them for retransmission, waking a task
and a timer) is done here once for all of an optic. Per viewer remain twelve bytes of header, SRTP and the datagram
(docs/adr/0032-one-sender-for-all-viewers.md).
"""

# ruff: noqa: SLF001 - aiortc has no public way to send packets that are packed already; the contract tests watch over it

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import av
import pylibsrtp
from aiortc import RTCRtpSender, clock
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtp import (
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from anonymizer.broadcast import ViewerCutError
from anonymizer.encoder import CLOCK

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import RTCDtlsTransport
    from aiortc.rtcrtpparameters import RTCRtpSendParameters
    from aiortc.rtcrtptransceiver import RTCRtpTransceiver
    from aiortc.rtp import AnyRtcpPacket

    from anonymizer.broadcast import Broadcast, Subscription
    from anonymizer.encoder import EncodedPicture

REPORT_SECONDS: Final = 5.0
"""Between a sender's reports (RFC 3550, section 6.2: the least interval that is recommended)."""
HISTORY_PACKETS: Final = 512
"""Packets kept for retransmission, for all viewers of an optic together; several seconds of it."""
_VERSION: Final = 0x80
_MARKER: Final = 0x80
_CNAME: Final = 1
_UINT16: Final = 0xFFFF
_UINT32: Final = 0xFFFFFFFF


class Pictures(Protocol):
    """Where a fan-out's pictures come from."""

    async def get(self) -> EncodedPicture:
        """The next picture.

        Raises:
            ViewerCutError: there will be none.
        """


@dataclass(frozen=True, slots=True)
class Packet:
    """What one RTP packet carries, the same for every viewer.

    Attributes:
        number: counts the packets of a fan-out.
        ticks: presentation time since the fan-out's first picture, in `CLOCK`.
        last: whether it is the last of its picture.
        payload: as RFC 6184 lays it out.
    """

    number: int
    ticks: int
    last: bool
    payload: bytes


class FanOut:
    """What several viewers see alike, from one subscription. It costs nothing while nobody watches.

    Args:
        broadcast: what is watched.
        marked: makes of the subscription what is shown; None: the pictures as they are.
    """

    def __init__(self, broadcast: Broadcast, marked: Callable[[Subscription], Pictures] | None = None) -> None:
        self._broadcast = broadcast
        self._marked = marked
        self._senders: set[SharedSender] = set()
        self._task: asyncio.Task[None] | None = None
        self._packer = H264Encoder()
        self._origin: float | None = None
        self._ticks = -1
        self._history: deque[Packet] = deque(maxlen=HISTORY_PACKETS)
        self._count = 0

    def add(self, sender: SharedSender) -> None:
        """Sends to a viewer too, from the next key frame on, which is wished for."""
        self._senders.add(sender)
        self._broadcast.wish_key_frame()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"fan-out:{self._broadcast.optic}")

    def discard(self, sender: SharedSender) -> None:
        """Sends to a viewer no longer; after the last of them nothing is done any more."""
        self._senders.discard(sender)
        if not self._senders and self._task is not None:
            self._task.cancel()
            self._task = None
            self._history.clear()

    def recall(self, low_bits: int) -> Packet | None:
        """The packet whose number ends in these 16 bits, if it was sent lately."""
        back = (self._count - 1 - low_bits) & _UINT16
        return self._history[-1 - back] if back < len(self._history) else None

    async def _run(self) -> None:
        try:
            with self._broadcast.subscribed() as subscription, contextlib.suppress(ViewerCutError):
                await self._forward(subscription if self._marked is None else self._marked(subscription))
        finally:
            if self._task is asyncio.current_task():  # else it was given up, and another may go on already
                self._task = None
                for sender in self._senders:
                    sender.cut()

    async def _forward(self, pictures: Pictures) -> None:
        while True:
            picture = await pictures.get()
            packets = self._packed(picture)
            for sender in tuple(self._senders):
                await sender.forward(packets, key_frame=picture.key_frame)

    def _packed(self, picture: EncodedPicture) -> list[Packet]:
        if self._origin is None:
            self._origin = picture.captured
        self._ticks = max(self._ticks + 1, round((picture.captured - self._origin) / CLOCK))
        whole = av.Packet(picture.data)
        whole.pts, whole.time_base = self._ticks, CLOCK
        payloads, _ = self._packer.pack(whole)
        packets = [
            Packet(number, self._ticks, number == self._count + len(payloads) - 1, payload)
            for number, payload in enumerate(payloads, self._count)
        ]
        self._count += len(packets)
        self._history.extend(packets)
        return packets


class SharedSender(RTCRtpSender):
    """One viewer's end of a fan-out, in the place of aiortc's own sender.

    Args:
        transport: to the viewer.
        fan_out: what it sends.
        cut: called once when nothing more can be sent.
    """

    def __init__(self, transport: RTCDtlsTransport, fan_out: FanOut, cut: Callable[[], None]) -> None:
        super().__init__("video", transport)
        self.cut = cut
        self._fan_out = fan_out
        self._parameters: RTCRtpSendParameters | None = None
        self._payload_type = 0
        # In the lower half: who loses the first packets must not miss the numbers' turn-over (RFC 3711, section 3.3.1).
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(32)
        self._first: int | None = None
        self._packets = self._octets = 0
        self._reported = 0.0

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begins; see aiortc."""
        if self._parameters is not None:
            return
        self._parameters = parameters
        self._payload_type = parameters.codecs[0].payloadType or 0
        self.transport._register_rtp_sender(self, parameters)
        self._fan_out.add(self)

    async def stop(self) -> None:
        """Ends; see aiortc."""
        if self._parameters is None:
            return
        self._fan_out.discard(self)
        self.transport._unregister_rtp_sender(self)
        with contextlib.suppress(ConnectionError, pylibsrtp.Error):
            await self.transport._send_rtp(bytes(RtcpByePacket([self._ssrc])))

    async def forward(self, packets: list[Packet], *, key_frame: bool) -> None:
        """Sends one picture's packets; those before the first key frame are passed over."""
        if self._first is None:
            if not key_frame:
                return
            self._first = packets[0].number
        try:
            for packet in packets:
                sequence = (self._sequence + packet.number - self._first) & _UINT16
                await self._send(sequence, packet)
            self._packets += len(packets)
            self._octets += sum(len(packet.payload) for packet in packets)
            await self._report(packets[-1].ticks)
        except (ConnectionError, pylibsrtp.Error):  # this viewer's alone: the others go on
            self._fan_out.discard(self)
            self.cut()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Sends again what the viewer lost. Whoever lost more waits for the next key frame, as everybody does."""
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for sequence in packet.lost:
                await self._send_again(sequence)

    async def _send_again(self, sequence: int) -> None:
        packet = self._fan_out.recall((sequence - self._sequence + (self._first or 0)) & _UINT16)
        if packet is None or self._first is None or packet.number < self._first:
            return
        # As it was, in the stream itself: what all take where no stream for repeated ones (RFC 4588) is agreed.
        await self._send(sequence, packet)

    async def _send(self, sequence: int, packet: Packet) -> None:
        marked = self._payload_type | (_MARKER if packet.last else 0)
        timestamp = (self._timestamp + packet.ticks) & _UINT32
        header = struct.pack("!BBHII", _VERSION, marked, sequence, timestamp, self._ssrc)
        await self.transport._send_rtp(header + packet.payload)

    async def _report(self, ticks: int) -> None:
        """What a receiver needs to tell RTP time from the clock's (RFC 3550, section 6.4.1), now and then."""
        now = time.monotonic()
        if self._parameters is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        told = RtcpSenderInfo(
            clock.current_ntp_time(),
            (self._timestamp + ticks) & _UINT32,
            self._packets & _UINT32,
            self._octets & _UINT32,
        )
        name = (_CNAME, (self._parameters.rtcp.cname or "").encode())
        description = RtcpSdesPacket([RtcpSourceInfo(self._ssrc, [name])])
        await self.transport._send_rtp(bytes(RtcpSrPacket(self._ssrc, told)) + bytes(description))


def shared_sender(transceiver: RTCRtpTransceiver, fan_out: FanOut, cut: Callable[[], None]) -> None:
    """Puts a fan-out's end in the place of the sender that aiortc made for a transceiver, before an offer is read."""
    sender = SharedSender(transceiver.sender.transport, fan_out, cut)
    sender._stream_id = transceiver.sender._stream_id
    transceiver._RTCRtpTransceiver__sender = sender  # type: ignore[attr-defined]
