"""Clips from files: passed on as they are where possible, else coded once for everyone who watches."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
from av.bitstream import BitStreamFilterContext

from mesh.local.camera.clip import MAX_CLIP_BYTES, AccessUnit, Clip, ClipCodec, open_video
from mesh.local.camera.effects import Effect, Picture
from mesh.local.camera.frames import PLAIN, Look, frames_of, grid, mosaic_of, pictures_of, thinned
from mesh.local.camera.sdp import CLOCK_RATE, Codec
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer

MAX_KEY_FRAME_GAP_SECONDS: Final = 2.0
"""A viewer waits this long at most for a picture; files with rarer key frames are coded anew."""

VARIANT_SECONDS: Final = 8
"""A fault that changes the picture shows the file's beginning, of this length, in a loop."""

DEFAULT_RATE: Final = Fraction(25)
"""Frames per second assumed of a file that does not say."""

MOSAIC_TILE: Final = (640, 360)
"""Largest tile of a mosaic, in pixels."""

_X264: Final = {"preset": "veryfast", "tune": "zerolatency", "x264-params": "sliced-threads=0:scenecut=0"}
_ENCODERS: Final[dict[ClipCodec, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", _X264),
    "hevc": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=error:scenecut=0"}),
    "mjpeg": ("mjpeg", {"qmin": "4", "qmax": "4"}),
}
_OWN_CODECS: Final[dict[str, Codec]] = {"h264": "h264", "hevc": "hevc"}
_ANNEX_B_FILTERS: Final[dict[Codec, str]] = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@dataclass(frozen=True)
class Rendition:
    """In which form a video is wanted.

    Attributes:
        codec: None for the file's own if it is H.264 or H.265, else H.264.
        size: width and height that the pictures must fit into, in pixels; None for the file's own.
        rate: most frames per second; None for the file's own.
        look: a fault's effect.
        baseline: only what the H.264 baseline profile has, as WebRTC wants it.
    """

    codec: ClipCodec | None = None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    look: Look = PLAIN
    baseline: bool = False


def open_clip(files: tuple[Path, ...], rendition: Rendition) -> Clip:
    """Start to read a video; the rest is read, and coded anew where necessary, in a background thread.

    A file is passed on as it is when it already has the wanted form, no reordered pictures and frequent key frames.

    Args:
        files: one that FFmpeg can read; or several, to become one mosaic.
        rendition: the form wanted.

    Raises:
        SourceError: no such file, not a video, or no picture in it.
    """
    clip, units = _mosaic(files, rendition) if len(files) > 1 else _single(files[0], rendition)
    clip.read(units)
    if not clip.wait_for_first():
        raise SourceError(f"{files[0]} holds no picture that can be decoded", "Give a video file that plays.")
    return clip


def _single(path: Path, rendition: Rendition) -> tuple[Clip, Iterator[AccessUnit]]:
    container = open_video(path)
    stream = container.streams.video[0]
    own = _OWN_CODECS.get(stream.codec.name)
    codec: ClipCodec = rendition.codec or own or "h264"
    file_rate = stream.average_rate or stream.base_rate or DEFAULT_RATE
    rate = min(file_rate, rendition.rate or file_rate)
    size = _fitted((stream.width, stream.height), rendition)
    wanted = dataclasses.replace(rendition, codec=codec, size=size, rate=rate)
    size = _even(size)
    coded = dataclasses.replace(wanted, size=size)
    if wanted == Rendition(own, (stream.width, stream.height), file_rate) and _is_playable_as_it_is(path):
        units = _copied(container, cast("Codec", codec))
    elif rendition.look.effect in {Effect.NONE, Effect.RESIZE}:
        units = _coded(_scaled(container, size, file_rate, rate), coded)
    else:
        container.close()
        pictures = pictures_of(path, rendition.look, size, file_rate=file_rate, rate=rate)
        units = _coded(_as_frames(pictures), coded)
    return Clip(codec, width=size[0], height=size[1], frame_ticks=round(CLOCK_RATE / rate)), units


def _mosaic(files: tuple[Path, ...], rendition: Rendition) -> tuple[Clip, Iterator[AccessUnit]]:
    with open_video(files[0]) as container:
        stream = container.streams.video[0]
        rate = min(stream.average_rate or DEFAULT_RATE, rendition.rate or DEFAULT_RATE)
        tile = _even(_fitted((stream.width, stream.height), Rendition(size=MOSAIC_TILE)))
    columns, rows = grid(len(files))
    size = _fitted((tile[0] * columns, tile[1] * rows), rendition)
    codec = rendition.codec or "h264"
    wanted = dataclasses.replace(rendition, codec=codec, size=size, rate=rate)
    units = _coded(_as_frames(mosaic_of(files, rendition.look, tile, rate=rate)), wanted)
    return Clip(codec, width=size[0], height=size[1], frame_ticks=round(CLOCK_RATE / rate)), units


def _fitted(size: tuple[int, int], rendition: Rendition) -> tuple[int, int]:
    """The size that keeps the aspect ratio and fits; half of it where the fault says so."""
    scale = Fraction(1)
    if rendition.size is not None:
        scale = min(scale, Fraction(rendition.size[0], size[0]), Fraction(rendition.size[1], size[1]))
    if rendition.look.effect is Effect.RESIZE:
        scale /= 2
    return size if scale == 1 else _even((int(size[0] * scale), int(size[1] * scale)))


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """The encoders' chroma planes have half the size."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


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


def _scaled(
    container: InputContainer, size: tuple[int, int], file_rate: Fraction, rate: Fraction
) -> Iterator[tuple[av.VideoFrame, int]]:
    frames = frames_of(container, file_rate)
    with container:
        for frame, ticks in thinned(frames, rate) if rate < file_rate else frames:
            yield frame.reformat(width=size[0], height=size[1], format="yuv420p"), ticks


def _as_frames(pictures: Iterator[tuple[Picture, int]]) -> Iterator[tuple[av.VideoFrame, int]]:
    for picture, ticks in pictures:
        yield av.VideoFrame.from_ndarray(picture, format="rgb24"), ticks


def _coded(frames: Iterator[tuple[av.VideoFrame, int]], rendition: Rendition) -> Iterator[AccessUnit]:
    """Code frames; ``codec``, ``size`` and ``rate`` of the rendition are given."""
    assert rendition.codec is not None
    assert rendition.size is not None
    encoder = _open_encoder(rendition)
    # A variant is shown for a while only; the plain video is shown whole.
    limit = VARIANT_SECONDS * CLOCK_RATE if rendition.look.effect is not Effect.NONE else None
    width, height = rendition.size
    for number, (frame, ticks) in enumerate(frames):
        if limit is not None and ticks >= limit:
            break
        picture = frame.reformat(width=width, height=height, format=encoder.pix_fmt)
        picture.pts, picture.time_base = ticks, Fraction(1, CLOCK_RATE)
        picture.pict_type = av.video.frame.PictureType.I if number == 0 else av.video.frame.PictureType.NONE
        for packet in encoder.encode(picture):
            yield AccessUnit(bytes(packet), packet.pts or 0, packet.is_keyframe)
    for packet in encoder.encode(None):
        yield AccessUnit(bytes(packet), packet.pts or 0, packet.is_keyframe)


def _open_encoder(rendition: Rendition) -> av.VideoCodecContext:
    assert rendition.codec is not None
    assert rendition.size is not None
    assert rendition.rate is not None
    name, options = _ENCODERS[rendition.codec]
    encoder = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height = rendition.size
    encoder.pix_fmt = "yuvj420p" if rendition.codec == "mjpeg" else "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, CLOCK_RATE), rendition.rate
    if rendition.codec != "mjpeg":
        encoder.gop_size = max(1, round(rendition.rate))
        encoder.max_b_frames = 0
    # One thread: the camera shares its machine with the services that it feeds.
    encoder.thread_count = 1
    encoder.options = {**options, "profile": "baseline"} if rendition.baseline else options
    return encoder
