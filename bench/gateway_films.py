"""The films that the gateway is measured on: coded once, at the bit rates of city cameras, from the video at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType


@dataclass(frozen=True)
class Form:
    """How a film is coded.

    Attributes:
        size: width and height in pixels; the video is stretched to it.
        rate: frames per second.
        bits: per second.
        seconds: of film.
    """

    size: tuple[int, int]
    rate: int
    bits: int
    seconds: int


SUB = Form((640, 360), 5, 384_000, 60)
"""A sub stream as the analysis wants it."""

MAIN = Form((1920, 1080), 25, 4_000_000, 12)
"""A main stream."""

LIGHT = Form((320, 180), 1, 48_000, 30)
"""A stream that costs little, for six hundred of them."""


@dataclass(frozen=True)
class CodedUnit:
    """One access unit (H.264, Annex B)."""

    data: bytes
    key: bool


def write_film(video: Path, target: Path, form: Form) -> Path:
    """Code ``video`` into an MP4 file that a camera can send as it is: H.264, no reordering, a key frame every 2 s."""
    with av.open(target, "w") as output:
        stream = output.add_stream("libx264", rate=form.rate)
        stream.width, stream.height = form.size
        stream.pix_fmt, stream.bit_rate = "yuv420p", form.bits
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": str(2 * form.rate), "bf": "0"}
        pictures = _endless(video)
        for number in range(form.rate * form.seconds):
            picture = next(pictures).reformat(width=form.size[0], height=form.size[1], format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, form.rate)
            picture.pict_type = PictureType.NONE
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return target


def units_of(film: Path) -> list[CodedUnit]:
    """The access units of a film."""
    with av.open(film) as container:
        stream = container.streams.video[0]
        annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = (packet for packet in container.demux(stream) if packet.size)
        return [CodedUnit(bytes(unit), unit.is_keyframe) for packet in packets for unit in annex_b.filter(packet)]


def _endless(video: Path) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(video) as container:
            yield from container.decode(video=0)
