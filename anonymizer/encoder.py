"""Masked pictures into H.264, once per optic, whoever looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from anonymizer.domain.frame import MaskedFrame, Size

KEY_FRAME_SECONDS: Final = 2.0
"""Capture time between key frames: the longest that a viewer who joins late waits."""
CLOCK: Final = Fraction(1, 90_000)
"""Seconds per tick of presentation times in the live view and the recording (RFC 6184, section 8.2.1)."""

SOFTWARE_CODEC: Final = "libx264"
CODEC_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    SOFTWARE_CODEC: {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "crf": "24",
        "forced-idr": "1",
        # The encoder's own rhythm of key frames counts pictures; capture time decides here.
        "x264-params": "keyint=infinite:scenecut=0:repeat-headers=1:annexb=1",
    },
    # In hardware: nothing looks ahead, every picture comes out at once, key frames only where they are asked for.
    "h264_nvenc": {
        "preset": "p3",
        "tune": "ull",
        "profile": "baseline",
        "rc": "constqp",
        "qp": "26",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "g": "100000",
        "no-scenecut": "1",
        "bf": "0",
    },
    "h264_qsv": {
        "preset": "veryfast",
        "profile": "baseline",
        "global_quality": "26",
        "async_depth": "1",
        "look_ahead": "0",
        "forced_idr": "1",
        "g": "100000",
        "bf": "0",
    },
}
"""The encoders that are known, each with how it is told to do the same."""

_MESSAGE: Final = 6
"""nal_unit_type of supplemental enhancement information (H.264, table 7-1)."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One masked picture as H.264.

    Attributes:
        sequence: the number of the raw frame that it stands for.
        captured: that frame's capture time in seconds.
        data: NAL units in Annex B form; a key frame begins with its parameter sets.
        key_frame: whether it can be decoded by itself.
        size: extent of the picture.
    """

    sequence: int
    captured: float
    data: bytes
    key_frame: bool
    size: Size


class Encoder:
    """One optic at one size. Not safe for use from two threads at once.

    Every picture comes out at once: no look-ahead, no B-frames. Baseline profile, because every browser decodes it over
    WebRTC (RFC 7742, section 6.2).

    Args:
        size: of the pictures.
        key_frame_seconds: capture time between key frames.
        codec: one of `CODEC_OPTIONS`.

    Raises:
        RuntimeError: the build of FFmpeg has no such encoder.
    """

    def __init__(
        self, size: Size, *, key_frame_seconds: float = KEY_FRAME_SECONDS, codec: str = SOFTWARE_CODEC
    ) -> None:
        self.size = size
        self.codec = codec
        self._key_frame_seconds = key_frame_seconds
        self._last_key_frame = -np.inf
        self._count = 0
        try:
            context = av.CodecContext.create(codec, "w")
        except av.codec.codec.UnknownCodecError as error:
            raise RuntimeError(f"this build of FFmpeg has no {codec}") from error
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = size.width, size.height, "yuv420p"
        context.time_base = Fraction(1, 25)
        context.thread_count = 1
        context.options = dict(CODEC_OPTIONS[codec])
        self._context = context

    def encode(self, masked: MaskedFrame, *, key_frame: bool = False) -> EncodedPicture:
        """Encodes one picture.

        Args:
            masked: the picture; nothing else is accepted.
            key_frame: whether a key frame is wanted now, e.g. for a viewer who has just joined.

        Raises:
            TypeError: the picture is no masked frame.
            ValueError: it has another size.
            av.FFmpegError: the encoder failed.
        """
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only masked frames are encoded")
        if masked.planes.size != self.size:
            raise ValueError(f"encoder for {self.size}, picture {masked.planes.size}")
        elapsed = masked.captured - self._last_key_frame
        key_frame = key_frame or not 0 <= elapsed < self._key_frame_seconds
        if key_frame:
            self._last_key_frame = masked.captured
        picture = _video_frame(masked)
        picture.pts, self._count = self._count, self._count + 1
        picture.pict_type = PictureType.I if key_frame else PictureType.NONE
        packets = self._context.encode(picture)
        if len(packets) != 1 or packets[0].pts != picture.pts:
            raise RuntimeError("the encoder does not answer each picture with its own")
        return EncodedPicture(
            masked.sequence, masked.captured, without_messages(bytes(packets[0])), packets[0].is_keyframe, self.size
        )


def without_messages(data: bytes) -> bytes:
    """An access unit in Annex B form without its messages: encoders write their version and every option into one.

    Splitting at start codes is safe: inside a NAL unit they cannot occur (H.264, 7.4.1, emulation prevention).
    """
    units = (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1"))
    return b"".join(b"\0\0\0\1" + unit for unit in units if unit and unit[0] & 0x1F != _MESSAGE)


def _video_frame(masked: MaskedFrame) -> av.VideoFrame:
    planes = masked.planes
    flat = np.concatenate([planes.luma.ravel(), planes.blue.ravel(), planes.red.ravel()])
    return av.VideoFrame.from_ndarray(flat.reshape(-1, planes.size.width), format="yuv420p")
