from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.video.frame import VideoFrame

from camera_gateway.sources import Outcome
from camera_gateway.views import Views
from camera_gateway.whip import Arrival, _Sampling
from tests.contract.camera_gateway.cameras import write_clip


def decoded_with_noise(clip: Path, noise: random.Random) -> Iterator[VideoFrame]:
    """What FFmpeg's decoder makes of a clip after which noise comes, as aiortc has it decoded."""
    with av.open(clip) as container:
        [stream] = container.streams.video
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata = stream.codec_context.extradata
        units = [bytes(packet) for packet in container.demux(stream) if packet.size]
    for number in range(len(units) + 500):
        data = units[number] if number < len(units) else b"\x00\x00\x00\x01\x65" + noise.randbytes(300)
        packet = av.Packet(data)
        packet.pts = 6000 * number
        with contextlib.suppress(av.error.FFmpegError):
            yield from decoder.decode(packet)


def test_what_the_decoder_made_up_is_broken_and_shown_to_nobody(tmp_path: Path) -> None:
    frames = list(decoded_with_noise(write_clip(tmp_path / "clip.mp4", frames=20), random.Random(1)))
    sampling, outcome = _Sampling(Views()), Outcome()
    for number, frame in enumerate(frames):
        sampling.run(Arrival(frame, 1000.0 + number / 15, number / 15), outcome)

    corrupt = sum(frame.is_corrupt for frame in frames)
    assert corrupt > 0
    assert (outcome.failed, outcome.decoded) == (corrupt, len(frames) - corrupt)
