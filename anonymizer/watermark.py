"""Who watches, and when, in the picture itself: a photograph of the screen, or a file that gets about, names them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from anonymizer.domain.frame import Basis, Frame, MaskedFrame, Planes, Size
from anonymizer.encoder import EncodedPicture, Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anonymizer.domain.frame import Plane

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_BAND: Final = 0.05
"""Height of the band that carries name and time, as a share of the picture's."""
_SHIFT: Final = 28
"""Levels by which the repeated name is darker than what is light, and lighter than what is dark."""
_MIDDLE: Final = 128
_QUALITY: Final = 85


class Watermark:
    """The watermark of one viewer: a band with name and time, and the name again and again across the picture.

    Args:
        viewer: who watches, an identity path.
        optic: what is watched.
    """

    def __init__(self, viewer: str, optic: str) -> None:
        self._viewer = viewer
        self._optic = optic
        self._pattern: Plane | None = None

    def burn(self, luma: Plane, captured: float) -> None:
        """Draws into a luma plane.

        Args:
            luma: height x width, uint8; changed in place.
            captured: capture time of the picture in seconds since the epoch.
        """
        height, width = luma.shape
        if self._pattern is None or self._pattern.shape != luma.shape:
            self._pattern = self._repeated(width, height)
        shifted = np.where(luma < _MIDDLE, luma + _SHIFT, luma - _SHIFT).astype(np.uint8)
        np.copyto(luma, shifted, where=self._pattern > 0)
        band = max(12, round(height * _BAND))
        luma[height - band :] = 16
        time = datetime.fromtimestamp(captured, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        _write(luma, f"{self._viewer}  {time}  {self._optic}", height - band // 4, band * 0.6, 235)

    def _repeated(self, width: int, height: int) -> Plane:
        pattern = np.zeros((height, width), np.uint8)
        step = max(24, height // 5)
        for row, bottom in enumerate(range(step, height + step, step)):
            _write(pattern, f"{self._viewer}   " * 8, bottom, step * 0.3, 255, left=-(row % 2) * width // 4)
        return pattern


class WatermarkEncoder:
    """The pictures of a broadcast, decoded, marked and encoded again for one viewer. Not for two threads at once.

    Args:
        watermark: of the viewer.
    """

    def __init__(self, watermark: Watermark) -> None:
        self._watermark = watermark
        self._decoder = _decoder()
        self._encoder: Encoder | None = None

    def mark(self, picture: EncodedPicture) -> EncodedPicture:
        """The next picture; the first must be a key frame.

        Raises:
            av.FFmpegError: the picture cannot be decoded or encoded.
            RuntimeError: a picture did not come out of the decoder at once.
        """
        planes = _decode(self._decoder, picture)
        self._watermark.burn(planes.luma, picture.captured)
        if self._encoder is None or self._encoder.size != planes.size:
            self._encoder = Encoder(planes.size)
        return self._encoder.encode(_masked(picture, planes), key_frame=picture.key_frame)


def still(group: Sequence[EncodedPicture], watermark: Watermark) -> bytes:
    """The last picture of a group, which begins with a key frame, as a marked JPEG without metadata.

    Raises:
        av.FFmpegError: the pictures cannot be decoded.
        RuntimeError: a picture did not come out of the decoder at once.
    """
    decoder = _decoder()
    planes = [_decode(decoder, picture) for picture in group][-1]
    watermark.burn(planes.luma, group[-1].captured)
    flat = np.concatenate([planes.luma.ravel(), planes.blue.ravel(), planes.red.ravel()])
    colours = cv2.cvtColor(flat.reshape(-1, planes.size.width), cv2.COLOR_YUV2BGR_I420)
    done, content = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise RuntimeError("the picture cannot be made into a JPEG")
    return content.tobytes()


def _decoder() -> VideoCodecContext:
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"flags": "low_delay"}
    return context


def _decode(decoder: VideoCodecContext, picture: EncodedPicture) -> Planes:
    frames = decoder.decode(av.Packet(picture.data))
    if len(frames) != 1:
        raise RuntimeError("the decoder does not answer each picture with its own")
    flat = np.ascontiguousarray(frames[0].to_ndarray(format="yuv420p"))
    return Planes.from_bytes(memoryview(bytearray(flat)), Size(frames[0].width, frames[0].height))


def _masked(picture: EncodedPicture, planes: Planes) -> MaskedFrame:
    """What was masked stays so: the planes come out of the encoder that takes nothing else."""
    blank = Planes.filled(planes.size, 0, 128, 128)
    return MaskedFrame.compose(Frame(picture.sequence, picture.captured, blank), planes, 1.0, Basis.WHOLE_PICTURE)


def _write(plane: Plane, text: str, bottom: int, height: float, level: int, *, left: int = 4) -> None:
    # Letters of this font are 21 units high; the file's own letters suffice, since identities are ASCII.
    scale = max(0.3, height / 21)
    cv2.putText(plane, text, (left, bottom), _FONT, scale, level, 1, cv2.LINE_8)
