"""What viewers share: each gets the same pictures under numbers of its own, and one that fails takes nobody along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, cast

import pylibsrtp
import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RtpPacket, is_rtcp

from anonymizer.broadcast import Broadcast
from anonymizer.domain.frame import Size
from anonymizer.encoder import EncodedPicture
from anonymizer.fanout import FanOut, SharedSender

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import RTCDtlsTransport

PARAMETERS = RTCRtpSendParameters(
    codecs=[RTCRtpCodecParameters(mimeType="video/H264", clockRate=90000, payloadType=102)]
)


class Wire:
    """Stands where the transport to a viewer does: keeps what is sent, or fails as that can."""

    state = "connected"

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.sent: asyncio.Queue[RtpPacket] = asyncio.Queue()

    def _register_rtp_sender(self, sender: object, parameters: object) -> None:
        """Nothing comes back on this wire."""

    def _unregister_rtp_sender(self, sender: object) -> None:
        """Nothing comes back on this wire."""

    async def _send_rtp(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        if not is_rtcp(data):
            self.sent.put_nowait(RtpPacket.parse(data))


class Viewer:
    """One end of a fan-out, and whether it was cut."""

    def __init__(self, fan_out: FanOut, wire: Wire) -> None:
        self.wire = wire
        self.cut = asyncio.Event()
        self.sender = SharedSender(cast("RTCDtlsTransport", wire), fan_out, self.cut.set)

    async def __aenter__(self) -> Self:
        await self.sender.send(PARAMETERS)
        await asyncio.sleep(0)  # the fan-out subscribes
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sender.stop()


def picture(number: int, *, key_frame: bool = False) -> EncodedPicture:
    kind = b"\x65" if key_frame else b"\x41"
    return EncodedPicture(number, number / 5, b"\0\0\0\1" + kind + bytes([number]) * 40, key_frame, Size(64, 64))


async def test_all_viewers_get_the_same_payloads_under_numbers_of_their_own() -> None:
    broadcast = Broadcast("devices/d/optics/o")
    fan_out = FanOut(broadcast)
    async with Viewer(fan_out, Wire()) as one, Viewer(fan_out, Wire()) as other:
        broadcast.publish(picture(1, key_frame=True))
        broadcast.publish(picture(2))
        first, second = [[await viewer.wire.sent.get() for _ in range(2)] for viewer in (one, other)]
    assert [packet.payload for packet in first] == [packet.payload for packet in second]
    assert first[0].ssrc != second[0].ssrc
    for packets in (first, second):
        assert packets[1].sequence_number == (packets[0].sequence_number + 1) & 0xFFFF
        assert (packets[1].timestamp - packets[0].timestamp) & 0xFFFFFFFF == 90_000 // 5


async def test_who_comes_late_begins_with_a_key_frame_that_is_wished_for() -> None:
    broadcast = Broadcast("devices/d/optics/o")
    fan_out = FanOut(broadcast)
    async with Viewer(fan_out, Wire()) as early:
        broadcast.publish(picture(1, key_frame=True))
        await early.wire.sent.get()
        assert broadcast.take_key_frame_wish()
        async with Viewer(fan_out, Wire()) as late:
            assert broadcast.take_key_frame_wish()
            broadcast.publish(picture(2))
            broadcast.publish(picture(3, key_frame=True))
            assert (await late.wire.sent.get()).payload[-1] == 3
            assert [(await early.wire.sent.get()).payload[-1] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize(
    "failure", [ConnectionError("gone"), pylibsrtp.Error("sealing failed")], ids=["gone", "sealing"]
)
async def test_a_viewer_that_cannot_be_sent_to_is_cut_and_takes_nobody_along(failure: Exception) -> None:
    broadcast = Broadcast("devices/d/optics/o")
    fan_out = FanOut(broadcast)
    async with Viewer(fan_out, Wire()) as sound, Viewer(fan_out, Wire(failure)) as failing:
        broadcast.publish(picture(1, key_frame=True))
        await failing.cut.wait()
        broadcast.publish(picture(2))
        assert [(await sound.wire.sent.get()).payload[-1] for _ in range(2)] == [1, 2]
        assert not sound.cut.is_set()
