from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from camera_gateway.pipeline import Decoding
from camera_gateway.rtsp.messages import Interleaved
from camera_gateway.rtsp.sdp import VideoTrack
from camera_gateway.rtsp.source import _Reception
from camera_gateway.views import Views
from tests.unit.camera_gateway.test_pipeline import Heard

TRACK = VideoTrack("h264", 96, 90_000, "rtsp://10.0.0.1/stream/track", b"")
SLICE = b"\x41 a slice"


class Listening(Heard):
    """Counts what was lost, too."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[int] = []

    def on_lost(self, packets: int) -> None:
        self.lost.append(packets)


def rtp(sequence: int, *, payload_type: int = 96) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence % 0x1_0000, 3000 * sequence % 2**32, 7) + SLICE


async def received(*packets: Interleaved) -> Listening:
    """What a listener hears of packets; 0 and 1 are the channels that were set up."""

    async def coming() -> AsyncIterator[Interleaved]:
        for packet in packets:
            yield packet

    heard = Listening()
    with ThreadPoolExecutor(1) as pool:
        pipeline = Decoding(pool, Views()).pipeline(TRACK.decoder, TRACK.parameter_sets, heard)
        await _Reception(TRACK, pipeline, heard).run(coming(), (0, 1))
    return heard


async def test_what_was_not_asked_for_is_dropped_and_counted() -> None:
    heard = await received(
        Interleaved(0, rtp(1)),
        # On a channel of its own, and under the video's channel.
        Interleaved(2, rtp(1)),
        Interleaved(0, rtp(2, payload_type=107)),
        Interleaved(0, b"no RTP"),
    )

    assert heard.dropped == {"not_asked_for": 2, "malformed_packet": 1}


async def test_lost_packets_are_counted_once() -> None:
    heard = await received(*(Interleaved(0, rtp(number)) for number in [0xFFFE, 0xFFFF, 0x1_0001, 0x1_0005, 0x1_0006]))

    assert heard.lost == [1, 3]


async def test_a_step_back_of_the_numbers_is_no_loss() -> None:
    heard = await received(*(Interleaved(0, rtp(number)) for number in [500, 501, 400, 401]))

    assert heard.lost == []
