"""Capture time: when the light fell on the sensor, as well as one can know, with an uncertainty.

A camera tells its own wall clock in RTCP sender reports (RFC 3550, section 6.4.1): an NTP time and the RTP timestamp of
the same instant. A camera whose clock is not set, or is set wrong, says nonsense there, and many send no reports at
all; the arrival at the gateway is then the witness, and the RTP timestamps take the network's jitter out of it.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

NTP_TO_UNIX_SECONDS: Final = 2_208_988_800
"""Seconds between the NTP era (1900) and the Unix epoch (1970), RFC 5905."""

LATEST_ARRIVAL: Final = 5.0
"""A frame is not believed to have been under way for longer than this, seconds."""

EARLIEST_ARRIVAL: Final = -0.5
"""A camera's time further in the future than this is a wrong clock, seconds."""

LARGEST_DRIFT: Final = 1.0
"""The least delayed of many frames is not later than this, seconds: beyond, the camera's clock is wrong."""

ARRIVAL_UNCERTAINTY: Final = 1.0
"""Encoder, network and jitter buffers of an IP camera on a wired network together, an upper bound, seconds."""

LEAST_UNCERTAINTY: Final = 0.1
"""What a camera's clock kept by NTP over the same network may be off by, seconds."""

STEP: Final = 0.5
"""Two sender reports that disagree by more than this: the camera's clock was set in between, seconds."""

LARGEST_LEAP: Final = 10.0
"""RTP time that runs ahead of the arrival by more than this begins a new timeline, seconds."""

LARGEST_REORDERING: Final = 1.0
"""RTP time that steps back by more than this begins a new timeline; by less, pictures are reordered, seconds.

Decoders reorder at most 16 pictures (H.264 and H.265, annex A)."""

WINDOW: Final = 15.0
"""An estimate rests on the frames of one to two windows of this length, seconds."""

LEAST_STEP: Final = 0.001
"""By how much a capture time grows at least from one frame to the next, seconds."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class Stamp:
    """When a frame was captured, and where it stands in its stream.

    Attributes:
        timeline: grows by one whenever the stream's RTP time jumps; times of two timelines do not compare.
        media_seconds: its place in the timeline, seconds, in presentation order.
        capture_time: when it was captured.
    """

    timeline: int
    media_seconds: float
    capture_time: CaptureTime


class LeastOf:
    """The smallest of the values of the last one to two windows.

    Of many delays the smallest is the one that the network added least to.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._before = self._now = float("inf")

    def add(self, value: float, at: float) -> float:
        """Take a value at a time in seconds; the smallest."""
        if self._began is None or not 0.0 <= at - self._began < 2 * WINDOW:
            self._began, self._before, self._now = at, float("inf"), value
        elif at - self._began >= WINDOW:
            self._began, self._before, self._now = at, self._now, value
        self._now = min(self._now, value)
        return min(self._before, self._now)


class CaptureClock:
    """Maps the RTP timestamps of one stream to capture times. Frames come in the order of their arrival.

    Args:
        clock_rate: RTP timestamp units per second (90 000 for video).
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._report: SenderReport | None = None
        self._last: tuple[int, float] | None = None
        self._media = 0.0
        self._timeline = 0
        self._delay = LeastOf()
        self._offset = LeastOf()
        self.drift: float | None = None
        """How far the camera's clock is behind the gateway's, in seconds, by the least delayed of the last frames: what
        the network takes is in it. None without sender reports."""

    def on_sender_report(self, report: SenderReport) -> None:
        """Take the camera's newest statement of its clock."""
        if self._report is not None:
            expected = self._report.ntp_seconds + self._seconds(report.rtp_timestamp, self._report.rtp_timestamp)
            if abs(report.ntp_seconds - expected) > STEP:
                self._offset = LeastOf()
        self._report = report

    def stamp(self, rtp_timestamp: int, arrival: float) -> Stamp:
        """The frame with ``rtp_timestamp`` (32 bit) that arrived at Unix time ``arrival``."""
        self._advance(rtp_timestamp, arrival)
        time = self._by_report(rtp_timestamp, arrival) or self._by_arrival(arrival)
        return Stamp(self._timeline, self._media, time)

    def _seconds(self, timestamp: int, since: int) -> float:
        # The difference of two 32-bit counters, as a signed number: it survives their wrap every 13 hours.
        return ((timestamp - since + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000) / self._clock_rate

    def _advance(self, rtp_timestamp: int, arrival: float) -> None:
        if self._last is not None:
            elapsed = self._seconds(rtp_timestamp, self._last[0])
            if elapsed < -LARGEST_REORDERING or elapsed - (arrival - self._last[1]) > LARGEST_LEAP:
                self._begin_timeline()
            else:
                self._media += elapsed
        self._last = rtp_timestamp, arrival

    def _begin_timeline(self) -> None:
        self._timeline += 1
        self._media = 0.0
        self._delay = LeastOf()

    def _by_report(self, rtp_timestamp: int, arrival: float) -> CaptureTime | None:
        if self._report is None:
            return None
        since = self._seconds(rtp_timestamp, self._report.rtp_timestamp)
        camera = self._report.ntp_seconds - NTP_TO_UNIX_SECONDS + since
        offset = arrival - camera
        self.drift = self._offset.add(offset, arrival)
        if not EARLIEST_ARRIVAL <= self.drift <= LARGEST_DRIFT or not EARLIEST_ARRIVAL <= offset <= LATEST_ARRIVAL:
            return None
        return CaptureTime(camera, max(abs(offset), LEAST_UNCERTAINTY), TimeSource.SENDER_REPORT)

    def _by_arrival(self, arrival: float) -> CaptureTime:
        least = self._delay.add(arrival - self._media, arrival)
        late = arrival - self._media - least
        if late > LATEST_ARRIVAL:
            # The camera's timestamps stood still while time went on: what was learned no longer holds.
            self._begin_timeline()
            late = self._delay.add(arrival, arrival) - arrival
        return CaptureTime(arrival - late, ARRIVAL_UNCERTAINTY + late, TimeSource.ARRIVAL)


class Presentation:
    """Keeps the frames of one stream in order as they leave the decoder: their capture times only grow."""

    def __init__(self) -> None:
        self._timeline = -1
        self._media = float("-inf")
        self._seconds = float("-inf")

    def admit(self, stamp: Stamp) -> CaptureTime | None:
        """The frame's capture time, later than every one before; None for a frame from the past."""
        if stamp.timeline < self._timeline or (stamp.timeline == self._timeline and stamp.media_seconds <= self._media):
            return None
        self._timeline, self._media = stamp.timeline, stamp.media_seconds
        time = stamp.capture_time
        back = self._seconds + LEAST_STEP - time.seconds
        # A better estimate may step back a little: then time goes on slowly. A wrong clock given up may step back far.
        if 0.0 < back < LATEST_ARRIVAL:
            time = dataclasses.replace(time, seconds=time.seconds + back, uncertainty=time.uncertainty + back)
        self._seconds = time.seconds
        return time


class DriftAlarm:
    """Says when a camera's clock is off, and when it is right again; short errors are passed over.

    Args:
        limit: how far the clock may be off, seconds.
        patience: for how long it must be off, or right again, seconds.
    """

    def __init__(self, limit: float = LARGEST_DRIFT, patience: float = 10.0) -> None:
        self._limit = limit
        self._patience = patience
        self._contrary_since: float | None = None
        self.active = False
        """Whether the clock is off."""

    def observe(self, drift: float, now: float) -> bool:
        """Take the `CaptureClock.drift` at monotonic time ``now``; True when `active` changed."""
        if (abs(drift) > self._limit) is self.active:
            self._contrary_since = None
            return False
        if self._contrary_since is None:
            self._contrary_since = now
        if now - self._contrary_since < self._patience:
            return False
        self.active = not self.active
        self._contrary_since = None
        return True
