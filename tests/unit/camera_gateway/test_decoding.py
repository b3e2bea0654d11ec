from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange
from structlog.testing import capture_logs

from camera_gateway.credentials import CredentialStore
from camera_gateway.decoding import Sampler, VideoDecoder, analysis_size, to_i420
from camera_gateway.domain.clock import CaptureTime, Stamp, TimeSource
from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.domain.liveness import Reason
from camera_gateway.domain.motion import MotionGate
from camera_gateway.domain.sight import Change
from camera_gateway.hardware import DecoderFactory, FallingBackDecoder
from camera_gateway.ice import restrict_candidates
from camera_gateway.pipeline import CodedPicture, DecodePipeline
from camera_gateway.sources import Outcome, Picture, SourceError
from camera_gateway.views import Samplers, View, Views
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


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv420p"])
def test_a_full_range_picture_becomes_limited_range(pixel_format: str) -> None:
    grey = np.full((48 * 3 // 2, 64), 255, np.uint8)
    grey[48:] = 128
    frame = av.VideoFrame.from_ndarray(grey, format=pixel_format)
    frame.color_range = ColorRange.JPEG

    luma = np.frombuffer(to_i420(frame, 64, 48), np.uint8, 64 * 48)

    assert set(luma.tolist()) <= {234, 235, 236}


TIME = CaptureTime(0, 0, TimeSource.ARRIVAL)


def view(optic: str, crop: Crop = WHOLE, *, rate: float = 5.0, width: int = 160) -> View:
    return View(rate, lambda: Sampler(optic, MotionGate(rate), width, crop))


def views_of(**crops: Crop) -> Views:
    views = Views()
    for name, crop in crops.items():
        views.put(name, view(name, crop))
    return views


def test_the_samplers_count_all_and_scale_what_is_due() -> None:
    samplers = Samplers(views_of(one=WHOLE))
    outcome = Outcome()
    frame = av.VideoFrame(320, 240, "yuv420p")
    for number in range(3):
        samplers.sample(frame, TIME, number * 0.04, outcome)
    outcome.settle()

    assert outcome.decoded == 3
    assert (outcome.width, outcome.height) == (320, 240)
    [(name, picture)] = outcome.pictures.items()
    assert name == "one"
    assert (picture.width, picture.height) == (160, 120)
    assert picture.arrival == 0.0


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj422p", "yuv420p10le"])
def test_each_optic_of_a_mosaic_sees_its_own_quarter_and_no_pixel_of_another(pixel_format: str) -> None:
    picture = np.empty((240, 320, 3), np.uint8)
    picture[:120, :160], picture[:120, 160:], picture[120:, :160], picture[120:, 160:] = 20, 80, 140, 220
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
    quarters = {f"q{x}{y}": Crop(x / 2, y / 2, 0.5, 0.5) for y in range(2) for x in range(2)}
    outcome = Outcome()

    Samplers(views_of(**quarters)).sample(frame, TIME, 0.0, outcome)
    outcome.settle()

    luma = {
        name: np.frombuffer(seen.i420, np.uint8, seen.width * seen.height) for name, seen in outcome.pictures.items()
    }
    assert outcome.decoded == 1
    assert all((seen.width, seen.height) == (160, 120) for seen in outcome.pictures.values())
    assert all(int(plane.max()) - int(plane.min()) <= 2 for plane in luma.values())
    assert int(luma["q00"][0]) < int(luma["q10"][0]) < int(luma["q01"][0]) < int(luma["q11"][0])


def test_views_may_change_while_a_session_runs_and_the_others_keep_their_sampler() -> None:
    views = views_of(a=WHOLE, b=WHOLE)
    samplers = Samplers(views)
    frame = av.VideoFrame(320, 240, "yuv420p")
    first, second, third = Outcome(), Outcome(), Outcome()
    samplers.sample(frame, TIME, 0.0, first)
    views.put("b", view("b", width=80))
    samplers.sample(frame, TIME, 0.01, second)
    views.remove("a")
    samplers.sample(frame, TIME, 10.0, third)
    for outcome in (first, second, third):
        outcome.settle()

    assert set(first.pictures) == {"a", "b"}
    # A new sampler is due at once; the old one keeps its rate.
    assert {name: seen.width for name, seen in second.pictures.items()} == {"b": 80}
    assert set(third.pictures) | set(third.still) == {"b"}


def test_a_picture_does_not_show_its_pixels() -> None:
    outcome = Outcome()
    Samplers(views_of(one=WHOLE)).sample(av.VideoFrame(320, 240, "yuv420p"), TIME, 0.0, outcome)
    outcome.settle()

    assert outcome.pictures
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


def coded(frames: int = 30) -> list[bytes]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
    pictures = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 30 * 8, np.uint8), format="rgb24")
        frame.pts = number
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return pictures


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


# --- the pipeline


class Heard:
    """A listener that counts."""

    def __init__(self) -> None:
        self.received = self.broken = self.skipped = 0
        self.dropped: dict[str, int] = {}
        self.held_back: dict[str, int] = {}
        self.pictures: list[Picture] = []

    def on_connected(self) -> None: ...

    def on_received(self, pictures: int, width: int, height: int) -> None:
        self.received += pictures

    def on_broken(self, units: int) -> None:
        self.broken += units

    def on_picture(self, optic: str, picture: Picture) -> None:
        self.pictures.append(picture)

    def on_held_back(self, optic: str, reason: str, count: int) -> None:
        self.held_back[reason] = self.held_back.get(reason, 0) + count

    def on_sight(self, optic: str, changes: list[Change]) -> None: ...

    def on_skipped(self, units: int) -> None:
        self.skipped += units

    def on_dropped(self, reason: str, count: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def on_left_out(self, kind: str) -> None: ...

    def on_lost(self, packets: int) -> None: ...

    def on_clock(self, drift: float) -> None: ...


def unit_at(number: int, data: bytes, *, damaged: bool = False, media: float | None = None) -> CodedPicture:
    place = number / 10 if media is None else media
    stamp = Stamp(0, place, CaptureTime(place, 0.1, TimeSource.ARRIVAL))
    return CodedPicture(data, stamp, number / 10, key=number % 5 == 0, damaged=damaged)


async def heard_of(units: list[CodedPicture], *, now: float = 0.0) -> Heard:
    """What a listener hears of ``units`` at ``now``, until all are accounted for or the session is given up."""
    heard, views = Heard(), Views()
    views.put("one", view("one", rate=100.0, width=64))
    with ThreadPoolExecutor(1) as pool:
        pipeline = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: now)
        running = asyncio.create_task(pipeline.run())
        for unit in units:
            pipeline.put(unit)
        while not running.done() and heard.received + heard.broken + heard.skipped + sum(heard.dropped.values()) < len(
            units
        ):
            await asyncio.sleep(0.001)
        running.cancel()
        done = await asyncio.gather(running, return_exceptions=True)
    if isinstance(done[0], SourceError):
        raise done[0]
    return heard


async def test_a_broken_picture_costs_itself_and_not_the_session() -> None:
    units = [unit_at(number, data, damaged=number == 7) for number, data in enumerate(coded(30))]
    units[12] = unit_at(12, b"\x00\x00\x00\x01\xff garbage")

    heard = await heard_of(units)

    assert (heard.received, heard.broken) == (28, 2)


async def test_pictures_from_the_past_are_counted_and_dropped() -> None:
    units = [unit_at(number, data, media=0.35 if number == 9 else None) for number, data in enumerate(coded(20))]

    heard = await heard_of(units)

    assert heard.dropped == {"out_of_order": 1}
    assert heard.received == 19


async def test_where_a_heartbeat_is_wanted_only_key_pictures_are_decoded() -> None:
    pictures = coded(30) * 10
    units = [unit_at(number, data) for number, data in enumerate(pictures)]
    views = Views()
    views.put("one", view("one", rate=0.5, width=64))
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        pipeline = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: 0.0)
        running = asyncio.create_task(pipeline.run())
        for count, unit in enumerate(units, 1):
            pipeline.put(unit)
            while heard.received + heard.skipped + heard.broken < count:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    # The first ten seconds are decoded whole; of the other twenty one picture in five.
    assert heard.received == 100 + 40
    assert heard.skipped == 160
    assert heard.broken == 0


async def test_a_session_in_which_nothing_decodes_is_given_up() -> None:
    with pytest.raises(SourceError) as caught:
        await heard_of([unit_at(number * 5, b"\x00\x00\x00\x01\xff") for number in range(40)])

    assert caught.value.reason is Reason.DECODE_ERRORS


@pytest.mark.parametrize("where", ["thread", "loop"])
async def test_an_error_of_ours_ends_the_session_wherever_it_is_raised(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> None:
        raise ZeroDivisionError

    if where == "thread":
        monkeypatch.setattr(Samplers, "sample", raising)
    else:
        monkeypatch.setattr(Heard, "on_received", raising)
    heard, views = Heard(), views_of(one=WHOLE)
    with ThreadPoolExecutor(1) as pool:
        pipeline = DecodePipeline(VideoDecoder("h264"), views, pool, heard, clock=lambda: 0.0)
        for number, data in enumerate(coded(3)):
            pipeline.put(unit_at(number, data))
        with pytest.raises(ZeroDivisionError):
            await pipeline.run()


async def test_a_decoder_that_falls_behind_goes_on_at_a_key_picture() -> None:
    units = [unit_at(number, data) for number, data in enumerate(coded(30))]

    heard = await heard_of(units, now=2.3)

    # What came before 1.55 is too late, and 16 to 19 refer to it; 20 is the next key picture.
    assert heard.dropped == {"decoder_behind": 20}
    assert (heard.received, heard.broken) == (10, 0)


async def test_of_what_waited_the_newest_is_handed_over_and_the_rest_is_counted() -> None:
    units = [unit_at(number, data) for number, data in enumerate(coded(20))]

    heard = await heard_of(units)

    arrivals = [picture.arrival for picture in heard.pictures]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == units[-1].arrival
    # One of each turn; a turn is as long as its processor time allows.
    assert 2 <= len(arrivals) < 20
    assert heard.held_back == {"superseded": 20 - len(arrivals)}
    assert heard.received == 20
