"""Recorded segments into one playable MP4 file, picture by picture as they were recorded; nothing is encoded again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import av

from anonymizer.domain.segments import UNBROKEN, SegmentName
from anonymizer.encoder import CLOCK

_OPTIONS = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "fflags": "bitexact"}


class ClipMuxer:
    """Makes one file of segments that come one after the other; holds one segment and one group of pictures at most.

    Second 0 of the file is the capture time of its first picture, and every other picture stands at its own: where
    nothing was recorded, the last picture before stays. The first picture is the last key frame at or before `start`.
    Where segments overlap, as after a clock that was set back, the later one goes on after the one before.

    Args:
        start: capture time from which, aware.
        end: capture time before which, aware.

    Attributes:
        pictures: how many are in the file.
        covered: unbroken stretches of capture time in the file, first and last picture of each.
    """

    def __init__(self, start: datetime, end: datetime) -> None:
        self._start = start
        self._end = end
        self._sink = _Sink()
        self._output = av.open(self._sink, "w", format="mp4", options=_OPTIONS)
        self._stream: Any = None
        self._ticks = -1
        self.pictures = 0
        self.covered: list[tuple[datetime, datetime]] = []

    @property
    def begins(self) -> datetime | None:
        """Capture time of the first picture; None: there is none yet."""
        return self.covered[0][0] if self.covered else None

    def add(self, segment: SegmentName, content: bytes) -> bytes:
        """Takes the next segment.

        Args:
            segment: when it was captured.
            content: its file, see `muxing.fragmented_mp4`.

        Returns:
            The next bytes of the clip; what is missing of the segment comes with the next ones.

        Raises:
            av.FFmpegError: the content is no such file.
        """
        with av.open(io.BytesIO(content), "r") as source:
            stream = source.streams.video[0]
            if self._stream is None:
                self._stream = self._output.add_stream_from_template(stream)
            packets = [packet for packet in source.demux(stream) if packet.size and packet.pts is not None]
            timed = [(segment.start + _elapsed(packet), packet) for packet in packets]
            for captured, packet in self._wanted(timed):
                self._mux(captured, packet)
        return self._sink.take()

    def finish(self) -> bytes:
        """The last bytes."""
        self._output.close()
        return self._sink.take()

    def _wanted(self, timed: list[tuple[datetime, Any]]) -> Iterator[tuple[datetime, Any]]:
        """From a key frame on: the last one at or before the start, or the first one after what is there already."""
        keys = [number for number, (_, packet) in enumerate(timed) if packet.is_keyframe]
        if self.covered:
            last = self.covered[-1][1]
            first = next((number for number in keys if timed[number][0] > last), len(timed))
        else:
            first = next((number for number in reversed(keys) if timed[number][0] <= self._start), min(keys, default=0))
        return ((captured, packet) for captured, packet in timed[first:] if captured < self._end)

    def _mux(self, captured: datetime, packet: Any) -> None:
        if not self.covered:
            self.covered.append((captured, captured))
        begins, (first, last) = self.covered[0][0], self.covered[-1]
        self.covered[-1:] = (
            [(first, captured)] if captured - last <= UNBROKEN else [(first, last), (captured, captured)]
        )
        self._ticks = max(self._ticks + 1, round((captured - begins).total_seconds() / CLOCK))
        packet.pts = packet.dts = self._ticks
        packet.time_base = CLOCK
        packet.stream = self._stream
        self._output.mux(packet)
        self.pictures += 1


class _Sink:
    """What FFmpeg writes, until it is taken; it cannot go back, so that a clip can be passed on as it is made."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _elapsed(packet: Any) -> timedelta:
    return timedelta(seconds=float(packet.pts * packet.time_base))
