"""What the camera sends of each picture: the sender with a sink that keeps everything."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest

from mesh.local.camera.clip import AccessUnit, Clip
from mesh.local.camera.faults import Moment
from mesh.local.camera.player import CameraClock, Shown
from mesh.local.camera.script import parse_script
from mesh.local.camera.sender import VideoSender

STEP = 4500


class Kept:
    """A sink whose client can be slow."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.reports: list[bytes] = []
        self.slow = False

    def send(self, packets: Sequence[bytes]) -> None:
        self.packets += packets

    def report(self, packet: bytes) -> None:
        self.reports.append(packet)

    def is_congested(self) -> bool:
        return self.slow

    def close(self) -> None:
        pass

    def timestamps(self) -> list[int]:
        return [struct.unpack(">I", packet[4:8])[0] for packet in self.packets]


def _clip() -> Clip:
    """A key frame every four pictures; each picture is one packet."""
    clip = Clip("h264", width=64, height=36, frame_ticks=STEP)
    clip.extend(
        AccessUnit(b"\x00\x00\x01\x65" + bytes([1, number + 1]), STEP * number, number % 4 == 0) for number in range(8)
    )
    return clip


def _send(sender: VideoSender, clip: Clip, numbers: Sequence[int]) -> None:
    for number in numbers:
        sender.send(Shown(clip, number % 8, STEP * number), Moment(number * 0.05, number * 0.05))


async def test_a_slow_client_loses_pictures_up_to_the_next_key_frame() -> None:
    sink, clip = Kept(), _clip()
    sender = VideoSender(sink, parse_script(""), CameraClock(), random.Random(1))
    _send(sender, clip, [0, 1])
    sink.slow = True
    _send(sender, clip, [2, 3])
    sink.slow = False
    _send(sender, clip, [5, 6, 7, 8, 9])

    origin = sink.timestamps()[0]
    assert [(time - origin) % 2**32 // STEP for time in sink.timestamps()] == [0, 1, 8, 9]


async def test_a_client_begins_with_a_key_frame() -> None:
    sink, clip = Kept(), _clip()
    _send(VideoSender(sink, parse_script(""), CameraClock(), random.Random(1)), clip, [2, 3, 4, 5])

    assert len(sink.packets) == 2


async def test_reports_come_first_and_then_at_their_interval() -> None:
    sink, clip = Kept(), _clip()
    sender = VideoSender(sink, parse_script(""), CameraClock(), random.Random(1), report_seconds=0.2)
    _send(sender, clip, [0])
    assert len(sink.reports) == 1
    _send(sender, clip, range(1, 9))

    times = [struct.unpack(">I", report[16:20])[0] for report in sink.reports]
    assert [(time - sink.timestamps()[0]) % 2**32 for time in times] == [0, 4 * STEP, 8 * STEP]


async def test_timestamps_go_on_over_their_wrap() -> None:
    sink, clip = Kept(), _clip()
    sender = VideoSender(sink, parse_script(""), CameraClock(), random.Random(1))
    for number in (0, 1):
        sender.send(Shown(clip, 0, 2**32 - STEP // 2 + number * STEP), Moment(0.0, 0.0))
    first, second = sink.timestamps()

    assert (second - first) % 2**32 == STEP


@pytest.mark.parametrize(("rate", "sent"), [(0.0, 8), (1.0, 0)])
async def test_loss_from_nothing_to_everything(rate: float, sent: int) -> None:
    sink, clip = Kept(), _clip()
    _send(VideoSender(sink, parse_script(f"loss rate={rate}"), CameraClock(), random.Random(1)), clip, range(8))

    assert len(sink.packets) == sent


async def test_everything_reordered_is_neighbours_swapped() -> None:
    sink, clip = Kept(), _clip()
    _send(VideoSender(sink, parse_script("reorder rate=1"), CameraClock(), random.Random(1)), clip, range(8))
    numbers = [struct.unpack(">H", packet[2:4])[0] for packet in sink.packets]

    assert [(number - min(numbers)) % 2**16 for number in numbers] == [1, 0, 3, 2, 5, 4, 7, 6]
