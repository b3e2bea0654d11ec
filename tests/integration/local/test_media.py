"""Demultiplexing for the gateway, and the MP4 that is made of its answers."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from argo.type.v1 import media_pb2
from mesh.local.errors import LocalError, SourceError
from mesh.local.media import MediaFile
from mesh.local.mp4 import Mp4Writer

FRAMES = 30


_LYING: dict[int, bytes] = {
    0: struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30),
    1: struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30),
    2: struct.pack(">9i", -1 << 16, 0, 0, 0, -1 << 16, 0, 0, 0, 1 << 30),
    3: struct.pack(">9i", 0, -1 << 16, 0, 1 << 16, 0, 0, 0, 0, 1 << 30),
}
"""The matrix of a track header (ISO/IEC 14496-12) by the quarter turns clockwise that set it upright."""


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_how_a_telephone_was_held_is_known(tmp_path: Path, turns: int) -> None:
    path = _write(tmp_path / "a.mp4", "libx264", {})
    content = path.read_bytes()
    straight = content.index(_LYING[0], content.index(b"tkhd"))
    path.write_bytes(content[:straight] + _LYING[turns] + content[straight + 36 :])

    with MediaFile(path) as file:
        assert file.quarter_turns == turns
        assert file.upright_size == ((120, 160) if turns % 2 else (160, 120))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_single_picture_is_refused_as_such(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    codec, pixels = ("png", "rgb24") if name.endswith("png") else ("mjpeg", "yuvj420p")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(codec, rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, pixels
        frame = av.VideoFrame.from_ndarray(np.zeros((120, 160, 3), np.uint8), format="rgb24")
        for packet in itertools.chain(stream.encode(frame), stream.encode(None)):
            container.mux(packet)

    with pytest.raises(SourceError, match="single picture"):
        MediaFile(path)


def _write(path: Path, codec: str, options: dict[str, str], *, sound: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        container.metadata["title"] = "holiday"
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        for number in range(FRAMES):
            picture = np.full((120, 160, 3), 4 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            for packet in itertools.chain(stream.encode(frame), stream.encode(None) if number == FRAMES - 1 else ()):
                container.mux(packet)
            if audio is not None:
                assert isinstance(audio, av.AudioStream)
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 400), np.int16), format="s16", layout="mono")
                samples.rate, samples.pts = 8000, 400 * number
                for packet in audio.encode(samples):
                    container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options", "expected"),
    [
        ("a.avi", "mpeg4", {}, media_pb2.CodecParameters.CODEC_MPEG4),
        ("b.avi", "mpeg4", {"bf": "2"}, media_pb2.CodecParameters.CODEC_MPEG4),
        ("a.mp4", "libx264", {"bf": "2"}, media_pb2.CodecParameters.CODEC_H264),
        ("b.mp4", "libx265", {"x265-params": "log-level=error"}, media_pb2.CodecParameters.CODEC_H265),
        ("c.avi", "mjpeg", {}, media_pb2.CodecParameters.CODEC_MJPEG),
        ("d.avi", "msmpeg4", {}, media_pb2.CodecParameters.CODEC_MSMPEG4_V3),
        ("a.webm", "libvpx", {}, media_pb2.CodecParameters.CODEC_VP8),
    ],
)
def test_times_of_the_frames_ascend_whatever_the_container_says(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], expected: int
) -> None:
    with MediaFile(_write(tmp_path / name, codec, options)) as file:
        parameters = file.parameters()
        packets = list(file.packets())
        decoder = av.CodecContext.create(
            codec.removeprefix("lib").replace("x264", "h264").replace("x265", "hevc").replace("vpx", "vp8"), "r"
        )
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = parameters.extradata or None
        decoder.width, decoder.height = parameters.width, parameters.height
        times = []
        for packet in [*packets, None]:
            coded = av.Packet(packet.data) if packet is not None else None
            if coded is not None and packet is not None:
                coded.pts = packet.presentation_timestamp
            times += [file.time_of_next_frame(frame.pts or 0) for frame in decoder.decode(coded)]

    assert parameters.codec == expected
    assert len(times) == FRAMES
    steps = [float((later - earlier) * file.time_base) for earlier, later in itertools.pairwise(times)]
    assert steps == pytest.approx([0.05] * (FRAMES - 1), abs=0.001)


def test_sound_is_never_sent(tmp_path: Path) -> None:
    with MediaFile(_write(tmp_path / "a.avi", "mpeg4", {}, sound=True)) as file:
        assert len(list(file.packets())) == FRAMES


def test_codec_that_is_not_taken_is_said(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.avi", "ffv1", {})
    with pytest.raises(SourceError, match="coded as ffv1, which is not taken"):
        MediaFile(path)


def _access_units() -> list[media_pb2.AccessUnit]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 160, 120, "yuv420p", Fraction(1, 20)
    encoder.options = {"tune": "zerolatency", "g": "10"}
    frames = []
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(np.full((180, 160), number, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 20)
        frames.append(frame)
    packets = [packet for frame in [*frames, None] for packet in encoder.encode(frame)]
    return [
        media_pb2.AccessUnit(data=bytes(packet), presentation_timestamp=packet.pts or 0, key_frame=packet.is_keyframe)
        for packet in packets
    ]


@pytest.mark.parametrize("time_base", [Fraction(1, 20), Fraction(1, 90_000), Fraction(1001, 20_000)])
def test_mp4_has_every_frame_at_its_time_and_no_metadata(tmp_path: Path, time_base: Fraction) -> None:
    path = tmp_path / "out.mp4"
    times = [number * (4500 if time_base == Fraction(1, 90_000) else 1) + 7 for number in range(FRAMES)]
    with Mp4Writer(path, 160, 120, time_base=time_base) as writer:
        for unit, time in zip(_access_units(), times, strict=True):
            writer.write(unit, time)
    with av.open(str(path)) as container:
        frames = [
            frame.pts * frame.time_base
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base
        ]
        tags = container.metadata

    assert frames == [time * time_base for time in times]
    assert not {"title", "encoder", "creation_time", "comment"} & set(tags)
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_broken_off_mp4_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("the old one")
    unit = _access_units()[0]
    writer = Mp4Writer(path, 160, 120, time_base=Fraction(1, 20))
    writer.write(unit, 0)
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_times_that_do_not_grow_are_moved_on(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with Mp4Writer(path, 160, 120, time_base=Fraction(1, 20)) as writer:
        for unit, time in zip(_access_units(), [0, 0, 0, *range(3, FRAMES)], strict=True):
            writer.write(unit, time)
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == FRAMES


def test_full_disk_is_said(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full (Linux)")
    (tmp_path / ".out.mp4.part").symlink_to(full)

    def write() -> None:
        with Mp4Writer(tmp_path / "out.mp4", 160, 120, time_base=Fraction(1, 20)) as writer:
            for number, unit in enumerate(_access_units()):
                writer.write(unit, number)

    with pytest.raises(LocalError, match=r"out\.mp4 cannot be written: No space left on device"):
        write()
