"""Encoded pictures into fragmented MP4, in memory, without encoding again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import av

from anonymizer.domain.segments import SEGMENT_SECONDS
from anonymizer.encoder import CLOCK, EncodedPicture


class SegmentBuilder:
    """Collects pictures until a segment is whole: at the first key frame after its time, or when the size changes."""

    def __init__(self, seconds: float = SEGMENT_SECONDS) -> None:
        self._seconds = seconds
        self._pictures: list[EncodedPicture] = []

    def add(self, picture: EncodedPicture) -> Sequence[EncodedPicture]:
        """Takes a picture.

        Returns:
            The pictures of a segment that is whole now, beginning with a key frame; none in most cases.
        """
        whole: Sequence[EncodedPicture] = ()
        if self._pictures and picture.key_frame and self._is_over(picture):
            whole = self.flush()
        if self._pictures or picture.key_frame:
            self._pictures.append(picture)
        return whole

    def flush(self) -> Sequence[EncodedPicture]:
        """What was collected so far."""
        pictures, self._pictures = self._pictures, []
        return pictures

    def _is_over(self, picture: EncodedPicture) -> bool:
        first = self._pictures[0]
        elapsed = picture.captured - first.captured
        return picture.size != first.size or not 0 <= elapsed < self._seconds


def fragmented_mp4(pictures: Sequence[EncodedPicture]) -> bytes:
    """A playable file with these pictures, which begin with a key frame; times count from the first. No metadata.

    Raises:
        av.FFmpegError: they cannot be muxed.
    """
    first = pictures[0]
    buffer = io.BytesIO()
    # delay_moov: the header is written when the first key frame has told the parameter sets.
    options = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "fflags": "bitexact"}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        stream = container.add_mux_stream("h264", width=first.size.width, height=first.size.height, time_base=CLOCK)
        last = -1
        for picture in pictures:
            last = max(last + 1, round((picture.captured - first.captured) / CLOCK))
            packet = av.Packet(picture.data)
            packet.pts = packet.dts = last
            packet.time_base = CLOCK
            packet.is_keyframe = picture.key_frame
            packet.stream = stream
            container.mux(packet)
    return buffer.getvalue()


def captured_at(picture: EncodedPicture) -> datetime:
    """The capture time of a picture, UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=picture.captured)
