"""Access units to pictures: runs on a pool thread, where FFmpeg gives up Python's lock while it works."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from camera_gateway.attention import Attention
from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.sources import Outcome, Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane

    from camera_gateway.domain.clock import CaptureTime
    from camera_gateway.domain.luma import Luma
    from camera_gateway.domain.motion import MotionGate


LUMA_FIRST: Final = frozenset({"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "gray"})
"""Pixel formats whose first plane is the luma, a byte for each pixel."""


def analysis_size(width: int, height: int, largest_width: int) -> tuple[int, int]:
    """The size at which a ``width`` x ``height`` picture is analysed: never larger, same shape, even on both sides."""
    scale = min(1.0, largest_width / width)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def to_i420(frame: VideoFrame, width: int, height: int) -> bytes:
    """The planes of ``frame`` at ``width`` x ``height`` (even), as I420 without padding, limited range.

    One copy when the planes are unpadded, which they are at widths that are multiples of 128; two otherwise.
    """
    return _packed(_limited_range(frame, width, height))


def turned(i420: bytes, width: int, height: int, quarter_turns: int) -> bytes:
    """A packed picture of this width and height, turned clockwise; an odd number of turns exchanges the two."""
    luma_end, blue_end = width * height, width * height * 5 // 4
    flat = np.frombuffer(i420, np.uint8)
    planes = (
        flat[:luma_end].reshape(height, width),
        flat[luma_end:blue_end].reshape(height // 2, width // 2),
        flat[blue_end:].reshape(height // 2, width // 2),
    )
    return b"".join(np.rot90(plane, -quarter_turns).tobytes() for plane in planes)


def _packed(frame: VideoFrame) -> bytes:
    """The planes of a yuv420p frame, whose sides are even."""
    width, height = frame.width, frame.height
    luma, blue, red = frame.planes
    return b"".join(
        (
            _plane_bytes(luma, width, height),
            _plane_bytes(blue, width // 2, height // 2),
            _plane_bytes(red, width // 2, height // 2),
        )
    )


def _is_full_range(frame: VideoFrame) -> bool:
    return bool(frame.color_range == ColorRange.JPEG)


def _limited_range(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    if frame.format.name == "yuv420p" and (frame.width, frame.height) == (width, height) and not _is_full_range(frame):
        # FFmpeg would copy it, at half of what decoding costs.
        return frame
    known_range = frame.color_range or None
    return frame.reformat(
        width=width, height=height, format="yuv420p", src_color_range=known_range, dst_color_range="MPEG"
    )


def _plane_bytes(plane: VideoPlane, columns: int, rows: int) -> memoryview | bytes:
    if plane.line_size == columns:
        return memoryview(plane)[: rows * columns]
    return _pixels(plane)[:rows, :columns].tobytes()


def _pixels(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """The plane with its padding."""
    whole = np.frombuffer(memoryview(plane), np.uint8, plane.height * plane.line_size)
    return whole.reshape(plane.height, plane.line_size)


class Planes:
    """A decoded frame that several optics may look at; each conversion is made once for all of them."""

    def __init__(self, frame: VideoFrame) -> None:
        self.frame = frame
        self._converted: dict[tuple[int, int], VideoFrame] = {}

    def luma(self, crop: Crop, largest_width: int) -> Luma:
        """The Y plane of the part of ``crop``, limited range; at the size that costs least."""
        frame = self.frame
        if frame.format.name not in LUMA_FIRST or _is_full_range(frame):
            frame = self._at(*self._size(crop, largest_width))
        luma = _pixels(frame.planes[0])
        if crop == WHOLE:
            return luma[:, : frame.width]
        left, top, columns, rows = crop.pixels(frame.width, frame.height)
        return luma[top : top + rows, left : left + columns]

    def cut(self, crop: Crop, largest_width: int) -> tuple[Callable[[], bytes], int, int]:
        """The part of ``crop`` at its analysis size: what packs it as `to_i420` does, its width and height."""
        converted = self._at(*self._size(crop, largest_width))
        if crop == WHOLE:
            return functools.partial(_packed, converted), converted.width, converted.height
        left, top, columns, rows = crop.pixels(converted.width, converted.height)
        width, height = analysis_size(columns, rows, largest_width)
        parts = [
            _pixels(plane)[top // shrink : (top + rows) // shrink, left // shrink : (left + columns) // shrink]
            for plane, shrink in zip(converted.planes, (1, 2, 2), strict=True)
        ]
        sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
        scaled = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part, size in zip(parts, sizes, strict=True)]
        return lambda: b"".join(plane.tobytes() for plane in scaled), width, height

    def _size(self, crop: Crop, largest_width: int) -> tuple[int, int]:
        """At which the frame is converted: parts of it are scaled only after they are cut out."""
        width, height = self.frame.width, self.frame.height
        return analysis_size(width, height, largest_width) if crop == WHOLE else (width, height)

    def _at(self, width: int, height: int) -> VideoFrame:
        if (width, height) not in self._converted:
            self._converted[width, height] = _limited_range(self.frame, width, height)
        return self._converted[width, height]


class Sampler:
    """Chooses the pictures of one optic that are worth an analysis, and scales them.

    One thread at a time may use it.

    Args:
        optic: resource name.
        gate: the motion gate, which also keeps the rate.
        largest_width: the analysis width in pixels.
        crop: the optic's part of the picture.
        attention: of the optic.
    """

    def __init__(
        self,
        optic: str,
        gate: MotionGate,
        largest_width: int,
        crop: Crop = WHOLE,
        attention: Attention | None = None,
    ) -> None:
        self._optic = optic
        self._gate = gate
        self._largest_width = largest_width
        self._crop = crop
        self._attention = attention or Attention()

    def sample(self, planes: Planes, capture_time: CaptureTime, arrival: float, outcome: Outcome) -> None:
        """Put the frame into ``outcome`` as the optic's picture when it is wanted."""
        looks, wanted = self._attention.wants_look(arrival), self._gate.due(arrival)
        counted = wanted and arrival < self._gate.moving_until
        if counted and not self._attention.allowance.take(arrival):
            # Where the last picture showed motion, this one would be analysed: it is not even scaled.
            self._gate.pass_over(arrival)
            self._shed(outcome)
            wanted = False
        if not (looks or wanted):
            return
        luma = functools.partial(planes.luma, self._crop, self._largest_width)
        if looks and (changes := self._attention.look(luma(), arrival)):
            outcome.sights.setdefault(self._optic, []).extend(changes)
        if not wanted:
            return
        admitted = self._gate.admit(luma, arrival)
        self._attention.moving_until = self._gate.moving_until
        if not admitted:
            outcome.still[self._optic] = outcome.still.get(self._optic, 0) + 1
        elif counted or self._attention.allowance.take(arrival):
            outcome.want(self._optic, functools.partial(self._picture, planes, capture_time, arrival))
        else:
            self._shed(outcome)

    def _picture(self, planes: Planes, capture_time: CaptureTime, arrival: float) -> Picture:
        return Picture(*planes.cut(self._crop, self._largest_width), capture_time, arrival)

    def _shed(self, outcome: Outcome) -> None:
        outcome.shed[self._optic] = outcome.shed.get(self._optic, 0) + 1


MAX_PIXELS: Final = 7680 * 4320
"""8K: a header that promises more is not believed, or a few bytes would take gigabytes of memory."""


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
        context.options = {"max_pixels": str(MAX_PIXELS)}
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
        # Decoders read a little beyond the end. FFmpeg's own memory is padded with zeros, that of `data` is not: what
        # happens to lie behind it would be taken for pictures.
        packet = av.Packet(len(data))
        packet.update(data)
        packet.pts = timestamp
        return self._context.decode(packet)
