"""Capture time: when the light fell on the sensor, as well as one can know, with an uncertainty.

A camera tells its own wall clock in RTCP sender reports (RFC 3550, section 6.4.1): an NTP time and the RTP timestamp of
the same instant. A camera whose clock is not set, or is set wrong, says nonsense there; the arrival time at the gateway
is then the better witness.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

NTP_TO_UNIX_SECONDS: Final = 2_208_988_800
"""Seconds between the NTP era (1900) and the Unix epoch (1970), RFC 5905."""

LATEST_ARRIVAL: Final = 5.0
"""A camera's time older than this at arrival is a wrong clock rather than a slow network, seconds."""

EARLIEST_ARRIVAL: Final = -0.5
"""A camera's time further in the future than this is a wrong clock, seconds."""

ARRIVAL_UNCERTAINTY: Final = 1.0
"""Encoder, network and jitter buffers of an IP camera on a wired network together, an upper bound, seconds."""


LEAST_UNCERTAINTY: Final = 0.1
"""What a camera's clock kept by NTP over the same network may be off by, seconds."""


class TimeSource(enum.Enum):
    """Where a capture time comes from."""

    SENDER_REPORT = "sender_report"
    ARRIVAL = "arrival"
    FILE = "file"


@dataclasses.dataclass(frozen=True, slots=True)
class CaptureTime:
    """Unix time of capture in seconds, and how far from the truth it may be, in seconds."""

    seconds: float
    uncertainty: float
    source: TimeSource


@dataclasses.dataclass(frozen=True, slots=True)
class SenderReport:
    """The camera's wall clock (NTP, seconds since 1900) at an RTP timestamp."""

    ntp_seconds: float
    rtp_timestamp: int


class CaptureClock:
    """Maps RTP timestamps of one stream to capture times.

    Args:
        clock_rate: RTP timestamp units per second (90 000 for video).
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._report: SenderReport | None = None
        self._last = float("-inf")
        self.offset: float | None = None
        """Arrival time less the camera's own time at the last frame, in seconds; None without sender reports."""

    def on_sender_report(self, report: SenderReport) -> None:
        """Take the camera's newest statement of its clock."""
        self._report = report

    def capture_time(self, rtp_timestamp: int, arrival: float) -> CaptureTime:
        """The capture time of a frame with ``rtp_timestamp`` (32 bit) that arrived at Unix time ``arrival``."""
        if self._report is None:
            return CaptureTime(arrival, ARRIVAL_UNCERTAINTY, TimeSource.ARRIVAL)
        # The difference of two 32-bit counters, as a signed number: it survives their wrap every 13 hours.
        ticks = (rtp_timestamp - self._report.rtp_timestamp + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
        camera = self._report.ntp_seconds - NTP_TO_UNIX_SECONDS + ticks / self._clock_rate
        self.offset = arrival - camera
        if not EARLIEST_ARRIVAL <= self.offset <= LATEST_ARRIVAL:
            return CaptureTime(arrival, ARRIVAL_UNCERTAINTY, TimeSource.ARRIVAL)
        return CaptureTime(camera, max(abs(self.offset), LEAST_UNCERTAINTY), TimeSource.SENDER_REPORT)

    def advances(self, time: CaptureTime) -> bool:
        """Whether ``time`` is later than every one before; a frame from the past is not to be analysed."""
        # The change from a camera's fast clock to the arrival time may step back: accepted once it is not small.
        if 0.0 <= self._last - time.seconds < LATEST_ARRIVAL:
            return False
        self._last = time.seconds
        return True
