from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.rtsp import udp
from camera_gateway.rtsp.reordering import DEPTH, Reordering
from camera_gateway.rtsp.rtp import RtpPacket


def packet(sequence: int) -> RtpPacket:
    return RtpPacket(96, sequence % 0x1_0000, sequence, marker=False, payload=b"")


def reordered(sequences: list[int]) -> tuple[list[int], Reordering]:
    reordering = Reordering()
    return [each.timestamp for sequence in sequences for each in reordering.push(packet(sequence))], reordering


@given(st.integers(0, 0xFFFF), st.integers(0, 2**32))
def test_packets_that_overtake_each_other_come_out_in_order(start: int, seed: int) -> None:
    sent = list(range(start + 1, start + 200))
    numbers = random.Random(seed)
    # Nobody moves more than a few places, and the first stays first.
    shuffled = [start, *sorted(sent, key=lambda sequence: sequence + numbers.uniform(0, 8))]

    received, reordering = reordered(shuffled)

    assert received == [start, *sent]
    assert reordering.late == 0


def test_a_lost_packet_is_given_up_after_a_while_and_is_late_when_it_comes() -> None:
    received, reordering = reordered([0, *range(2, DEPTH + 4), 1, DEPTH + 4])

    assert received == [0, *range(2, DEPTH + 5)]
    assert reordering.late == 1


def test_a_duplicate_comes_once() -> None:
    received, reordering = reordered([0, 1, 1, 3, 3, 2])

    assert received == [0, 1, 2, 3]
    assert reordering.late == 2


def test_a_new_sequence_begins_at_once() -> None:
    received, _ = reordered([0, 2, 30_000, 30_001])

    assert received == [0, 2, 30_000, 30_001]


@given(st.lists(st.integers(0, 0xFFFF), max_size=300))
def test_no_sequence_makes_it_hold_more_than_its_depth(sequences: list[int]) -> None:
    reordering = Reordering()
    out = sum(len(reordering.push(packet(sequence))) for sequence in sequences)

    assert len(reordering._waiting) <= DEPTH
    assert out + reordering.late + len(reordering._waiting) == len(sequences)


def counting(dropped: Counter[str]) -> Callable[[str, int], None]:
    def count(reason: str, number: int) -> None:
        dropped[reason] += number

    return count


async def test_a_pair_hears_its_camera_and_nobody_else() -> None:
    dropped: Counter[str] = Counter()
    async with udp.open_pair("127.0.0.1", "127.0.0.1", counting(dropped)) as pair:
        rtp, rtcp = pair.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.sendto(b"stranger", ("127.0.0.1", rtp))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
            camera.sendto(b"picture", ("127.0.0.1", rtp))
            camera.sendto(b"clock", ("127.0.0.1", rtcp))
        packets = pair.packets()
        heard = {(each.channel, each.payload) for each in [await anext(packets), await anext(packets)]}

    assert (rtp % 2, rtcp) == (0, rtp + 1)
    assert heard == {(udp.RTP_CHANNEL, b"picture"), (udp.RTCP_CHANNEL, b"clock")}
    assert dropped == {"foreign": 1}


async def test_packets_that_nobody_takes_do_not_pile_up() -> None:
    dropped: Counter[str] = Counter()
    pair = udp.UdpPair("10.0.0.1", counting(dropped))
    for _ in range(udp.MAX_WAITING_PACKETS + 10):
        pair.take(udp.RTP_CHANNEL, b"x", "10.0.0.1")

    assert len(pair._packets) == udp.MAX_WAITING_PACKETS
    assert dropped == {"receiver_behind": 10}


async def test_the_camera_is_told_that_somebody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
        camera.bind(("127.0.0.1", 0))
        camera.setblocking(False)
        async with udp.open_pair("127.0.0.1", "127.0.0.1", counting(Counter())) as pair:
            reporting = asyncio.create_task(pair.report((1, camera.getsockname()[1])))
            report = await asyncio.get_running_loop().sock_recv(camera, 100)
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    # Version 2, a receiver report without blocks, one word after the header (RFC 3550, section 6.4.2).
    assert report[:4] == bytes([0x80, 201, 0, 1])
    assert len(report) == 8


def test_without_a_free_pair_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "PORT_ATTEMPTS", 0)

    with pytest.raises(OSError, match="no pair"):
        udp._bind_pair("127.0.0.1")
