"""Access units to pictures: runs on a pool thread, where FFmpeg gives up Python's lock while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext

from camera_gateway.sources import Outcome, Picture

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from camera_gateway.domain.clock import CaptureTime
    from camera_gateway.domain.motion import MotionGate


def analysis_size(width: int, height: int, largest_width: int) -> tuple[int, int]:
    """The size at which a ``width`` x ``height`` picture is analysed: never larger, same shape, even on both sides."""
    scale = min(1.0, largest_width / width)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def to_i420(frame: VideoFrame, width: int, height: int) -> bytes:
    """The planes of ``frame`` at ``width`` x ``height`` (even), as I420 without padding, limited range.

    One copy when the planes are unpadded, which they are at widths that are multiples of 128; two otherwise.
    """
    source_range = frame.color_range or None
    picture = frame.reformat(
        width=width, height=height, format="yuv420p", src_color_range=source_range, dst_color_range="MPEG"
    )
    return b"".join(
        _plane_bytes(picture, index, columns, rows)
        for index, (columns, rows) in enumerate([(width, height), (width // 2, height // 2), (width // 2, height // 2)])
    )


def _plane_bytes(frame: VideoFrame, index: int, columns: int, rows: int) -> memoryview | bytes:
    plane = frame.planes[index]
    view = memoryview(plane)
    if plane.line_size == columns:
        return view[: rows * columns]
    padded = np.frombuffer(view, np.uint8)[: rows * plane.line_size].reshape(rows, plane.line_size)
    return padded[:, :columns].tobytes()


class Sampler:
    """Chooses the pictures of one optic that are worth an analysis, and scales them.

    One thread at a time may use it.

    Args:
        gate: the motion gate, which also keeps the rate.
        largest_width: the analysis width in pixels.
    """

    def __init__(self, gate: MotionGate, largest_width: int) -> None:
        self._gate = gate
        self._largest_width = largest_width

    def sample(self, frame: VideoFrame, capture_time: CaptureTime, arrival: float, outcome: Outcome) -> None:
        """Count the frame in ``outcome``, and put it there as its picture when it is wanted."""
        outcome.decoded += 1
        outcome.width, outcome.height = frame.width, frame.height
        if not self._gate.due(arrival):
            return
        width, height = analysis_size(frame.width, frame.height, self._largest_width)
        i420 = to_i420(frame, width, height)
        luma: npt.NDArray[np.uint8] = np.frombuffer(i420, np.uint8, width * height).reshape(height, width)
        if self._gate.admit(luma, arrival):
            outcome.picture = Picture(i420, width, height, capture_time, arrival)
        else:
            outcome.dropped["still"] = outcome.dropped.get("still", 0) + 1


class VideoDecoder:
    """A software decoder of one stream. One thread at a time may use it.

    Args:
        decoder: FFmpeg's name, e.g. "h264".
        extradata: out-of-band parameter sets as the container or the session description gave them, or empty.
        size: width and height in pixels, for the codecs whose stream does not say (MS-MPEG-4); zeros: not known.
    """

    def __init__(self, decoder: str, extradata: bytes = b"", size: tuple[int, int] = (0, 0)) -> None:
        context = av.CodecContext.create(decoder, "r")
        if not isinstance(context, VideoCodecContext):
            raise TypeError(f"{decoder} is no video decoder")
        # Frame threads would hold several pictures back; the pool decodes several optics side by side instead.
        context.thread_count = 1
        if extradata:
            context.extradata = extradata
        if all(size):
            context.width, context.height = size
        self._context = context

    def decode(self, data: bytes | None, timestamp: int | None = None) -> list[VideoFrame]:
        """The pictures that come out after ``data``; None flushes.

        Raises:
            av.error.FFmpegError: the data cannot be decoded; the next may.
        """
        if data is None:
            return self._context.decode(None)
        packet = av.Packet(data)
        packet.pts = timestamp
        return self._context.decode(packet)
