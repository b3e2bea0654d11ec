from __future__ import annotations

import contextlib

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from structlog.testing import capture_logs

from camera_gateway.hardware import DecoderFactory, FallingBackDecoder
from tests.unit.camera_gateway.pictures import coded


@pytest.mark.parametrize("device", ["", "auto", "cuda", "vaapi", "nonsense"])
def test_where_there_is_no_hardware_software_decodes_and_says_so_once(device: str) -> None:
    with capture_logs() as lines:
        factory = DecoderFactory(device)
        pictures = [
            len(decoder.decode(unit)) for decoder in (factory("h264", b""), factory("h264", b"")) for unit in coded(5)
        ]

    # On a machine with such hardware nothing falls back.
    warned = [line for line in lines if line["event"] == "decoder.fell_back"]
    assert sum(pictures) == 10
    assert len(warned) <= (1 if device else 0)
    assert device != "nonsense" or len(warned) == 1


def test_a_device_that_fails_gives_way_to_software_for_the_rest_of_the_session() -> None:
    """A decoder of another codec stands in for the device: it refuses every picture."""
    fallbacks: list[bool] = []
    context = av.CodecContext.create("mjpeg", "r")
    assert isinstance(context, VideoCodecContext)
    decoder = FallingBackDecoder(context, "h264", b"", lambda: fallbacks.append(True))
    decoded = 0
    for unit in coded(30):
        with contextlib.suppress(av.error.FFmpegError):
            decoded += len(decoder.decode(unit))

    assert fallbacks == [True]
    # Ten pictures are refused; the eleventh is a key picture.
    assert decoded == 20
