"""The video track of one client: RTP packets and sender reports, with the faults that befall them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mesh.local.camera.faults import FaultKind, Faults, Moment
from mesh.local.camera.rtp import RtpStream
from mesh.local.camera.sdp import CLOCK_RATE, PAYLOAD_TYPE

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from mesh.local.camera.player import CameraClock, Shown
    from mesh.local.camera.sinks import Sink

REPORT_SECONDS: Final = 5.0
"""Between sender reports (RFC 3550 section 6.2)."""


class VideoSender:
    """Sends what a player shows.

    Args:
        sink: takes the packets.
        faults: of the optic.
        clock: the camera's.
        random_source: makes identifiers, garbage and losses.
        report_seconds: between sender reports; the first one comes before the first picture.
    """

    def __init__(
        self,
        sink: Sink,
        faults: Faults,
        clock: CameraClock,
        random_source: random.Random,
        *,
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self._sink = sink
        self._faults = faults
        self._clock = clock
        self._random = random_source
        self._report_ticks = round(report_seconds * CLOCK_RATE)
        self._origin = random_source.getrandbits(32)
        self._rtp = RtpStream(random_source.getrandbits(32), random_source.getrandbits(16), PAYLOAD_TYPE)
        self._next_report: int | None = None
        self._awaits_key = True
        self._backwards = False
        self._kept: list[bytes] = []

    def send(self, shown: Shown, moment: Moment) -> None:
        """Send one access unit, or what the faults leave of it."""
        if self._sink.is_congested() or self._faults.active(FaultKind.HANG_AFTER_PLAY, moment):
            self._awaits_key = True
        if self._awaits_key and not shown.unit.is_key:
            return
        if self._faults.active(FaultKind.HANG_AFTER_PLAY, moment):
            return
        self._awaits_key = False
        timestamp = self._origin + shown.ticks + round(self._faults.timestamp_offset(moment) * CLOCK_RATE)
        self._report(shown.ticks, timestamp, moment)
        payloads: Sequence[bytes] = shown.clip.payloads(shown.index)
        if self._faults.active(FaultKind.GARBAGE, moment):
            payloads = [self._random.randbytes(len(payload)) for payload in payloads]
        packets = self._rtp.packets(payloads, timestamp - self._lag(moment))
        self._sink.send(self._reordered(self._after_loss(packets, moment), moment))

    def _report(self, ticks: int, timestamp: int, moment: Moment) -> None:
        if self._next_report is not None and ticks < self._next_report:
            return
        self._next_report = ticks + self._report_ticks
        if not self._faults.active(FaultKind.NO_SENDER_REPORTS, moment):
            wall = self._clock.wall(ticks) + self._faults.clock_error(moment)
            self._sink.report(self._rtp.sender_report(wall, timestamp))

    def _lag(self, moment: Moment) -> int:
        """Every second picture says that it is from the past."""
        fault = self._faults.active(FaultKind.TIMESTAMPS_BACKWARDS, moment)
        self._backwards = fault is not None and not self._backwards
        return round(fault.numbers["seconds"] * CLOCK_RATE) if fault is not None and self._backwards else 0

    def _after_loss(self, packets: list[bytes], moment: Moment) -> list[bytes]:
        fault = self._faults.active(FaultKind.LOSS, moment)
        if fault is None:
            return packets
        return [packet for packet in packets if self._random.random() >= fault.numbers["rate"]]

    def _reordered(self, packets: list[bytes], moment: Moment) -> list[bytes]:
        """A packet that is kept back follows the next one, which may be of the next picture."""
        fault = self._faults.active(FaultKind.REORDER, moment)
        rate = 0.0 if fault is None else fault.numbers["rate"]
        sent: list[bytes] = []
        for packet in packets:
            if not self._kept and self._random.random() < rate:
                self._kept = [packet]
            else:
                sent += [packet, *self._kept]
                self._kept = []
        return sent
