"""A video file as coded access units in memory, ready to be played for ever at almost no cost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
import structlog
from av.bitstream import BitStreamFilterContext

from mesh.local.camera.sdp import CLOCK_RATE, Codec
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.video.stream import VideoStream

log = structlog.get_logger(__name__)

MAX_CLIP_BYTES: Final = 256 * 1024 * 1024
"""A longer file is cut here: its loop begins again earlier. About half an hour of 720p."""

MAX_LEAD_SECONDS: Final = 60.0
"""How far reading runs ahead of playing."""

MAX_KEY_FRAME_GAP_SECONDS: Final = 2.0
"""A viewer waits this long at most for a picture; files with rarer key frames are coded anew."""

DEFAULT_RATE: Final = Fraction(25)
"""Frames per second assumed of a file that does not say."""

_ENCODERS: Final[dict[Codec, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency", "x264-params": "sliced-threads=0:scenecut=0"}),
    "hevc": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error:scenecut=0"}),
}

_CODECS: Final[dict[str, Codec]] = {"h264": "h264", "hevc": "hevc"}

_ANNEX_B_FILTERS: Final[dict[Codec, str]] = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture.

    Attributes:
        data: Annex B byte stream; a key frame carries its parameter sets.
        timestamp: 90 kHz ticks since the clip's first picture.
        is_key: whether decoding can start here.
    """

    data: bytes
    timestamp: int
    is_key: bool


class Clip:
    """Access units that a background thread is still adding to, or has finished adding to.

    Attributes:
        codec: how the pictures are coded.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        units: the access units so far, in presentation order; no reordering is needed to decode them.
    """

    def __init__(self, codec: Codec, *, width: int, height: int, frame_ticks: int) -> None:
        self.codec: Codec = codec
        self.width = width
        self.height = height
        self.units: list[AccessUnit] = []
        self._frame_ticks = frame_ticks
        self._first = threading.Event()
        self._all = threading.Event()

    @property
    def duration(self) -> int:
        """90 kHz ticks from the first picture to the moment when the loop shows it again."""
        return self.units[-1].timestamp + self._frame_ticks

    @property
    def complete(self) -> bool:
        """Whether ``units`` and ``duration`` are final."""
        return self._all.is_set()

    def extend(self, units: Iterable[AccessUnit]) -> None:
        """Add all units; in the end, also after an error, the clip is complete.

        Long files are read little faster than they are played: the camera shares its machine with the mesh it feeds.
        """
        size, started = 0, time.monotonic()
        try:
            for unit in units:
                lead = unit.timestamp / CLOCK_RATE - (time.monotonic() - started)
                time.sleep(max(0.0, lead - MAX_LEAD_SECONDS))
                self.units.append(unit)
                self._first.set()
                size += len(unit.data)
                if size > MAX_CLIP_BYTES:
                    break
        except (av.FFmpegError, ValueError) as error:
            log.warning("simulator.clip_cut", pictures=len(self.units), error=str(error))
        finally:
            self._first.set()
            self._all.set()

    def wait_for_first(self) -> bool:
        """Wait until there is a first access unit; False if there will be none."""
        self._first.wait()
        return bool(self.units)

    def wait_for_all(self) -> None:
        """Wait until the clip is complete."""
        self._all.wait()


def open_clip(path: Path, *, codec: Codec | None = None, scale: Fraction = Fraction(1)) -> Clip:
    """Start to read a video file; the rest is read, and coded anew where necessary, in a background thread.

    A file is passed on as it is when it already has the wanted codec, no reordered pictures and frequent key frames.

    Args:
        path: a file that FFmpeg can read.
        codec: wanted codec; by default the file's own if it is H.264 or H.265, else H.264.
        scale: size of the pictures relative to the file's; other than 1 always codes anew.

    Raises:
        SourceError: no such file, not a video, or no picture in it.
    """
    container = open_video(path)
    stream = container.streams.video[0]
    own = _CODECS.get(stream.codec.name)
    wanted: Codec = codec or own or "h264"
    rate = stream.average_rate or stream.base_rate or DEFAULT_RATE
    if scale == 1 and wanted == own and _is_playable_as_it_is(path):
        width, height = stream.width, stream.height
        units = _copied(container, wanted)
    else:
        width, height = (int(side * scale) // 2 * 2 for side in (stream.width, stream.height))
        units = _coded(container, wanted, width, height, rate)
    clip = Clip(wanted, width=width, height=height, frame_ticks=round(CLOCK_RATE / rate))
    threading.Thread(target=clip.extend, args=(units,), name="clip-reader", daemon=True).start()
    if not clip.wait_for_first():
        raise SourceError(f"{path} holds no picture that can be decoded", "Give a video file that plays.")
    return clip


def open_video(path: Path) -> InputContainer:
    """Open a file that has a video stream.

    Raises:
        SourceError: no such file, not a file, not readable, not a video.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file", "Check the path of the video.")
    try:
        container = av.open(str(path))
    except PermissionError:
        raise SourceError(f"{path} may not be read", "Check its permissions.") from None
    except (av.FFmpegError, OSError, ValueError):
        raise SourceError(f"{path} is not a video", "Give a file such as .mp4, .avi or .mkv.") from None
    if not container.streams.video or container.streams.video[0].width == 0:
        container.close()
        raise SourceError(f"{path} holds no video", "Give a file such as .mp4, .avi or .mkv.")
    return container


def _is_playable_as_it_is(path: Path) -> bool:
    """Whether the packets need no reordering, start with a key frame and have one often enough."""
    with open_video(path) as container:
        if container.streams.video[0].codec_context.has_b_frames:
            return False
        last_key: float | None = None
        size = 0
        try:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is None:
                    continue
                seconds = float(packet.pts * packet.time_base)
                last_key = seconds if packet.is_keyframe else last_key
                is_late = last_key is None or seconds - last_key > MAX_KEY_FRAME_GAP_SECONDS
                if is_late or packet.pts != packet.dts:
                    return False
                size += packet.size
                if size > MAX_CLIP_BYTES:
                    break
        except av.FFmpegError:
            return False
    return last_key is not None


def _copied(container: InputContainer, codec: Codec) -> Iterator[AccessUnit]:
    stream = container.streams.video[0]
    annex_b = BitStreamFilterContext(_ANNEX_B_FILTERS[codec], stream)
    origin: int | None = None
    with container:
        for packet in container.demux(stream):
            for filtered in annex_b.filter(packet if packet.size else None):
                if filtered.pts is None:
                    continue
                ticks = round(filtered.pts * filtered.time_base * CLOCK_RATE)
                origin = ticks if origin is None else origin
                yield AccessUnit(bytes(filtered), ticks - origin, filtered.is_keyframe)


def _coded(container: InputContainer, codec: Codec, width: int, height: int, rate: Fraction) -> Iterator[AccessUnit]:
    encoder = _open_encoder(codec, width, height, rate)
    with container:
        for number, (frame, ticks) in enumerate(_frames(container, container.streams.video[0], rate)):
            picture = frame.reformat(width=width, height=height, format="yuv420p")
            picture.pts, picture.time_base = ticks, Fraction(1, CLOCK_RATE)
            picture.pict_type = av.video.frame.PictureType.I if number == 0 else av.video.frame.PictureType.NONE
            for packet in encoder.encode(picture):
                yield AccessUnit(bytes(packet), packet.pts or 0, packet.is_keyframe)
    for packet in encoder.encode(None):
        yield AccessUnit(bytes(packet), packet.pts or 0, packet.is_keyframe)


def _open_encoder(codec: Codec, width: int, height: int, rate: Fraction) -> av.VideoCodecContext:
    name, options = _ENCODERS[codec]
    encoder = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, CLOCK_RATE), rate
    encoder.gop_size = max(1, round(rate))
    encoder.max_b_frames = 0
    # One thread: the camera shares its machine with the services that it feeds.
    encoder.thread_count = 1
    encoder.options = options
    return encoder


def _frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> Iterator[tuple[av.VideoFrame, int]]:
    """Decoded frames with strictly increasing 90 kHz timestamps from 0; missing ones follow the frame rate."""
    step = max(1, round(CLOCK_RATE / rate))
    origin: int | None = None
    last = -step
    for frame in container.decode(stream):
        ticks = last + step
        if frame.pts is not None and frame.time_base is not None:
            own = round(frame.pts * frame.time_base * CLOCK_RATE)
            origin = own if origin is None else origin
            ticks = own - origin if own - origin > last else ticks
        last = ticks
        yield frame, ticks
