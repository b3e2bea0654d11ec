from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from camera_gateway.decoding import VideoDecoder, analysis_size, to_i420


@pytest.mark.parametrize(
    ("size", "largest", "expected"),
    [
        ((1920, 1080), 768, (768, 432)),
        ((320, 240), 768, (320, 240)),
        ((321, 241), 768, (320, 240)),
        ((2, 2000), 768, (2, 2000)),
        ((5000, 2), 768, (768, 2)),
    ],
)
def test_the_analysis_size_is_even_and_never_larger(
    size: tuple[int, int], largest: int, expected: tuple[int, int]
) -> None:
    assert analysis_size(*size, largest) == expected


@pytest.mark.parametrize(("width", "height"), [(768, 576), (352, 288), (2, 2), (322, 242)])
def test_planes_come_out_without_padding(width: int, height: int) -> None:
    picture = np.random.default_rng(2).integers(16, 235, (height * 3 // 2, width), np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")

    assert to_i420(frame, width, height) == picture.tobytes()


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv420p"])
def test_a_full_range_picture_becomes_limited_range(pixel_format: str) -> None:
    grey = np.full((48 * 3 // 2, 64), 255, np.uint8)
    grey[48:] = 128
    frame = av.VideoFrame.from_ndarray(grey, format=pixel_format)
    frame.color_range = ColorRange.JPEG

    luma = np.frombuffer(to_i420(frame, 64, 48), np.uint8, 64 * 48)

    assert set(luma.tolist()) <= {234, 235, 236}


@pytest.mark.parametrize("decoder", ["h264", "hevc", "mjpeg", "mpeg4", "msmpeg4", "vp8", "vp9", "libdav1d"])
def test_every_codec_of_the_contract_has_a_decoder(decoder: str) -> None:
    assert VideoDecoder(decoder, size=(64, 48)).decode(None) == []


def noise(encoder_name: str, frames: int = 10) -> list[bytes]:
    encoder = av.CodecContext.create(encoder_name, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    pictures = np.random.default_rng(1).integers(16, 235, (frames, 72, 64), np.uint8)
    coded_frames = [encoder.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")) for picture in pictures]
    return [bytes(packet) for packets in coded_frames for packet in packets]


def test_what_lies_behind_a_packet_in_memory_is_no_part_of_it() -> None:
    # Each packet lacks its last byte, so that the decoder is at its end before it is at the picture's.
    packets = [packet[:-1] for packet in noise("msmpeg4")]

    def decoded(behind: int) -> list[bytes]:
        decoder = VideoDecoder("msmpeg4", size=(64, 48))
        views = [memoryview(packet + bytes([behind]) * 64)[: len(packet)] for packet in packets]
        return [to_i420(frame, 64, 48) for view in views for frame in decoder.decode(cast("bytes", view))]

    assert decoded(0xFF) == decoded(0x00) != []
