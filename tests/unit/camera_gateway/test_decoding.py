from __future__ import annotations

import json
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from camera_gateway.credentials import CredentialStore
from camera_gateway.decoding import Sampler, VideoDecoder, analysis_size, to_i420
from camera_gateway.domain.clock import CaptureTime, TimeSource
from camera_gateway.domain.motion import MotionGate
from camera_gateway.sources import Outcome
from camera_gateway.whip import restrict_candidates
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_full_range_picture_becomes_limited_range() -> None:
    grey = np.full((48 * 3 // 2, 64), 255, np.uint8)
    grey[48:] = 128
    frame = av.VideoFrame.from_ndarray(grey, format="yuvj420p")

    luma = np.frombuffer(to_i420(frame, 64, 48), np.uint8, 64 * 48)

    assert set(luma.tolist()) <= {234, 235, 236}


def test_the_sampler_counts_all_and_scales_what_is_due() -> None:
    sampler = Sampler(MotionGate(5.0), 160)
    outcome = Outcome()
    frame = av.VideoFrame(320, 240, "yuv420p")
    for number in range(3):
        sampler.sample(frame, CaptureTime(0, 0, TimeSource.ARRIVAL), number * 0.04, outcome)

    assert outcome.decoded == 3
    assert outcome.picture is not None
    assert (outcome.picture.width, outcome.picture.height) == (160, 120)
    assert outcome.picture.arrival == 0.0


def test_a_picture_does_not_show_its_pixels() -> None:
    sampler, outcome = Sampler(MotionGate(5.0), 160), Outcome()
    sampler.sample(av.VideoFrame(320, 240, "yuv420p"), CaptureTime(0, 0, TimeSource.ARRIVAL), 0.0, outcome)

    assert "i420" not in repr(outcome)


@pytest.mark.parametrize("decoder", ["h264", "hevc", "mjpeg", "mpeg4", "msmpeg4", "vp8", "vp9", "libdav1d"])
def test_every_codec_of_the_contract_has_a_decoder(decoder: str) -> None:
    assert VideoDecoder(decoder, size=(64, 48)).decode(None) == []


@pytest.mark.parametrize("content", ["", "[]", '{"cam": {"user": "x"}}', '{"cam": {"password": "canary"'])
def test_an_unreadable_file_of_secrets_stops_the_start_without_quoting_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)

    with pytest.raises(StartupError) as caught:
        CredentialStore(path)

    assert "canary" not in str(caught.value)


def test_secrets_are_read_again_and_a_broken_file_leaves_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"cam": {"username": "u", "password": "one", "tokens": {"a": "t", "b": ""}}}))
    store = CredentialStore(path)
    first = store.credentials("cam")
    path.write_text(json.dumps({"cam": {"username": "u", "password": "two", "tokens": {"a": "t", "b": ""}}}))
    second = store.credentials("cam")
    path.write_text("{")
    third = store.credentials("cam")

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.password, second.password, third.password) == ("one", "two", "two")
    assert (store.token("cam", "a"), store.token("cam", "b"), store.token("other", "a")) == ("t", None, None)
    assert store.credentials("other") is None


def test_only_candidates_inside_the_camera_networks_stay() -> None:
    import ipaddress

    lines = [
        "v=0",
        "a=candidate:1 1 udp 1 10.1.2.3 5000 typ host",
        "a=candidate:2 1 udp 1 8.8.8.8 5000 typ host",
        "a=candidate:3 1 udp 1 ::ffff:8.8.8.8 5000 typ host",
        "a=candidate:4 1 udp 1 6d2a.local 5000 typ host",
        "a=candidate:broken",
        "a=mid:0",
    ]

    kept = restrict_candidates("\r\n".join(lines), [ipaddress.ip_network("10.0.0.0/8")])

    assert kept.splitlines() == ["v=0", lines[1], "a=mid:0"]
