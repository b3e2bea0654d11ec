"""Every fault of the camera, as it looks on the wire to clients that are not ours."""

from __future__ import annotations

import asyncio
import itertools
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mesh.local.camera import device
from mesh.local.camera.clip import Clip
from mesh.local.camera.encoding import Rendition, open_clip
from mesh.local.camera.faults import FaultKind
from tests.integration.local.camera_client import Packet, RawClient, open_stream, pictures, playing, watch
from tests.integration.local.conftest import write_video

RATE = 100
TICKS_PER_FRAME = 90_000 // RATE
SILENCE_SECONDS = 0.4
FULL_RATE = Rendition(rate=Fraction(RATE))
"""Motion JPEG is slower by default."""


def _steps(packets: list[Packet]) -> list[int]:
    """Signed differences of the timestamps of pictures that follow each other."""
    times = [timestamp for timestamp, _ in itertools.groupby(packet.timestamp for packet in packets)]
    return [(later - earlier + 2**31) % 2**32 - 2**31 for earlier, later in itertools.pairwise(times)]


async def _packets(brisk_video: Path, script: str, count: int) -> list[Packet]:
    async with playing(brisk_video, script=script) as camera, RawClient.connected(camera) as client:
        await client.play()
        return await client.packets(count)


async def _is_silent(client: RawClient) -> bool:
    """Whether nothing comes, for as long as a dozen pictures take."""
    try:
        await asyncio.wait_for(client.packet(), SILENCE_SECONDS)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_unauthorized(brisk_video: Path, protocol: str) -> None:
    async with playing(brisk_video, script="unauthorized", protocol=protocol) as camera:
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(watch, camera.url, 1)


async def test_the_times_of_a_script_count_from_when_it_can_be_dialled(
    brisk_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, ahead = asyncio.get_running_loop(), 0.0

    def slow_coding(*of: Any) -> Clip:
        nonlocal ahead
        ahead += 1000.0
        return open_clip(*of)

    monkeypatch.setattr(loop, "time", lambda: time.monotonic() + ahead)
    monkeypatch.setattr(device, "open_clip", slow_coding)
    async with playing(brisk_video, script="at 0 for 900 unauthorized; black") as camera:
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(watch, camera.url, 1)


@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_not_found(brisk_video: Path, protocol: str) -> None:
    async with playing(brisk_video, script="not-found", protocol=protocol) as camera:
        with pytest.raises(av.HTTPNotFoundError):
            await asyncio.to_thread(watch, camera.url, 1)


@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_redirect_is_followed_by_ffmpeg(brisk_video: Path, tmp_path: Path, protocol: str) -> None:
    other = write_video(tmp_path / "other.mp4", "libx264", size=(96, 128))
    async with (
        playing(other, protocol=protocol) as target,
        playing(brisk_video, script=f"redirect to={target.url}", protocol=protocol) as camera,
    ):
        seen = await pictures(camera.url, 1)

    assert seen[0].shape == (128, 96, 3)


async def test_hang_after_connect(brisk_video: Path) -> None:
    async with playing(brisk_video, script="hang-after-connect") as camera, RawClient.connected(camera) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.request("OPTIONS"), SILENCE_SECONDS)


async def test_hang_after_play(brisk_video: Path) -> None:
    async with playing(brisk_video, script="hang-after-play") as camera, RawClient.connected(camera) as client:
        await client.play()
        assert await _is_silent(client)


async def test_hang_after_play_of_motion_jpeg(brisk_video: Path) -> None:
    async with playing(brisk_video, script="hang-after-play", protocol="mjpeg") as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: camera\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), SILENCE_SECONDS)
        writer.close()

    assert b"multipart/x-mixed-replace" in head


async def test_pictures_come_again_after_a_hang_and_begin_with_a_key_frame(brisk_video: Path) -> None:
    packets = await _packets(brisk_video, "after 0.1 for 0.3 hang-after-play", 60)
    steps = _steps(packets)
    gap = next(number for number, step in enumerate(steps) if step > 10 * TICKS_PER_FRAME)
    pictures_ = [list(group) for _, group in itertools.groupby(packets, lambda packet: packet.timestamp)]

    # nal_unit_type of SPS, PPS and IDR (H.264 table 7-1).
    assert {packet.payload[0] & 0x1F for packet in pictures_[gap + 1]} >= {7, 8}


@pytest.mark.parametrize("script", ["reset-after 0.3", "after 0.3 reset", "every 0.5s reset", "at 0.8 offline"])
async def test_reset_cuts_the_connection(brisk_video: Path, script: str) -> None:
    async with playing(brisk_video, script=script) as camera, RawClient.connected(camera) as client:
        await client.play()
        with pytest.raises(ConnectionResetError):
            await client.packets(1000)


async def test_reset_cuts_motion_jpeg(brisk_video: Path) -> None:
    async with playing(brisk_video, script="after 0.3 reset", protocol="mjpeg") as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: camera\r\n\r\n")
        await reader.readuntil(b"Content-Type: image/jpeg")
        with pytest.raises(ConnectionResetError):
            await reader.readuntil(b"no picture")
        writer.close()


async def test_offline_refuses_connections_until_it_is_over(brisk_video: Path) -> None:
    async with playing(brisk_video, script="at 0 for 0.6 offline") as camera:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with RawClient.connected(camera) as client:
                await client.request("OPTIONS")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                async with RawClient.connected(camera) as client:
                    assert "200 OK" in await client.request("OPTIONS")
                    break
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
        else:
            pytest.fail("the device did not come back")


async def test_garbage_has_the_size_of_a_picture_and_none_in_it(brisk_video: Path) -> None:
    clean, garbage = [await _packets(brisk_video, script, 20) for script in ("", "garbage")]

    # SPS, PPS and the first slice have the same sizes in every run of the same clip.
    assert [len(packet.payload) for packet in garbage[:3]] == [len(packet.payload) for packet in clean[:3]]
    assert all(one.payload != other.payload for one, other in zip(clean, garbage, strict=True))


@pytest.mark.parametrize(("script", "is_jpeg"), [("", True), ("garbage", False)])
async def test_garbage_over_http_is_no_jpeg(brisk_video: Path, script: str, *, is_jpeg: bool) -> None:
    async with playing(brisk_video, script=script, protocol="mjpeg") as camera:
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: camera\r\n\r\n")
        await reader.readuntil(b"Content-Length: ")
        await reader.readuntil(b"\r\n\r\n")
        begin = await reader.readexactly(2)
        writer.close()

    assert (begin == b"\xff\xd8") == is_jpeg


async def test_loss_leaves_holes_in_the_sequence(brisk_video: Path) -> None:
    packets = await _packets(brisk_video, "loss rate=0.3", 60)
    steps = {(later.sequence - earlier.sequence) % 2**16 for earlier, later in itertools.pairwise(packets)}

    assert min(steps) == 1
    assert max(steps) > 1


async def test_reorder_swaps_neighbours_and_loses_nothing(brisk_video: Path) -> None:
    packets = await _packets(brisk_video, "reorder rate=0.3", 80)
    numbers = [(packet.sequence - packets[0].sequence + 2**15) % 2**16 - 2**15 for packet in packets]

    assert numbers != sorted(numbers)
    # The last one may have been overtaken by one that is still to come.
    assert set(range(max(numbers) - 1)) <= set(numbers) | {0}


async def test_no_sender_reports(brisk_video: Path) -> None:
    async with (
        playing(brisk_video, script="no-sender-reports", report_seconds=0.1) as camera,
        RawClient.connected(camera) as client,
    ):
        await client.play()
        channels = {(await client.packet())[0] for _ in range(30)}

    assert channels == {0}


async def test_clock_drift_makes_the_wall_clock_run_ahead_of_the_timestamps(brisk_video: Path) -> None:
    async with (
        playing(brisk_video, script="clock-drift rate=0.5", report_seconds=0.1) as camera,
        RawClient.connected(camera) as client,
    ):
        await client.play()
        reports = await client.reports(8)

    media = (reports[-1].timestamp - reports[0].timestamp) % 2**32 / 90_000
    assert reports[-1].wall - reports[0].wall > 1.2 * media


async def test_clock_jump_is_in_the_reports_and_not_in_the_timestamps(brisk_video: Path) -> None:
    async with (
        playing(brisk_video, script="after 0.4 clock-jump seconds=-60", report_seconds=0.1) as camera,
        RawClient.connected(camera) as client,
    ):
        await client.play()
        reports = await client.reports(10)

    jumps = [later.wall - earlier.wall for earlier, later in itertools.pairwise(reports)]
    media = [(later.timestamp - earlier.timestamp) % 2**32 / 90_000 for earlier, later in itertools.pairwise(reports)]
    assert sum(jump < -50 for jump in jumps) == 1
    assert max(media) < 10


async def test_pts_jump(brisk_video: Path) -> None:
    steps = _steps(await _packets(brisk_video, "after 0.2 pts-jump seconds=100; after 0.4 pts-jump seconds=-30", 80))

    jumps = [round((step - TICKS_PER_FRAME) / 90_000) for step in steps if step != TICKS_PER_FRAME]
    assert jumps == [100, -30]


async def test_timestamps_backwards_alternate(brisk_video: Path) -> None:
    steps = _steps(await _packets(brisk_video, "timestamps-backwards seconds=0.5", 30))

    assert set(steps) == {TICKS_PER_FRAME - 45_000, TICKS_PER_FRAME + 45_000}


async def _before_and_during(video: Path, fault: str, protocol: str = "rtsp") -> tuple[np.ndarray, list[np.ndarray]]:
    async with playing(video, script=f"after 0.2 {fault}", protocol=protocol, main=FULL_RATE) as camera:
        seen = await pictures(camera.url, 60)
    return seen[0], seen[-4:]


@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_black_and_bright(brisk_video: Path, protocol: str) -> None:
    before, black = await _before_and_during(brisk_video, "black", protocol)
    _, bright = await _before_and_during(brisk_video, "bright", protocol)

    assert 30 < before.mean() < 150
    assert max(picture.mean() for picture in black) < 8
    assert min(picture.mean() for picture in bright) > 220


async def test_blur_fog_and_scene_change_leave_other_pictures(brisk_video: Path) -> None:
    def sharpness(picture: np.ndarray) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())

    (before, blurred), (_, foggy), (_, moved) = [
        await _before_and_during(brisk_video, fault) for fault in ("blur", "fog", "scene-change")
    ]

    assert sharpness(blurred[-1]) < 0.2 * sharpness(before)
    assert foggy[-1].std() < 0.3 * before.std()
    assert foggy[-1].mean() > before.mean()
    # The street's dark corner is where it was; what lies in it is not.
    assert np.abs(moved[-1].astype(int) - before).mean() > 3
    assert moved[-1].std() > 0.5 * before.std()


async def test_freeze_shows_one_picture_while_time_goes_on(brisk_video: Path) -> None:
    async with playing(brisk_video, script="after 0.3 for 0.3 freeze") as camera:
        frames = await asyncio.to_thread(watch, camera.url, 140)
    images = [frame.to_ndarray(format="rgb24") for frame in frames]
    same = [bool(np.array_equal(one, other)) for one, other in itertools.pairwise(images)]
    longest = max(len(list(run)) for is_same, run in itertools.groupby(same) if is_same)

    assert longest >= 20
    assert not any(same[:8])
    assert not all(same[-8:])
    times = [frame.pts for frame in frames[1:] if frame.pts is not None]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


async def test_resize_changes_the_size_in_mid_stream(brisk_video: Path) -> None:
    async with playing(brisk_video, script="after 0.2 for 0.2 resize") as camera:
        frames = await asyncio.to_thread(watch, camera.url, 80)

    sizes = [size for size, _ in itertools.groupby((frame.width, frame.height) for frame in frames)]
    assert sizes == [(160, 120), (80, 60), (160, 120)]


async def test_fault_of_one_optic_leaves_the_other_alone(brisk_video: Path) -> None:
    async with playing(brisk_video, optics=2, script="optic 2 black") as camera:
        good, black = [(await pictures(url, 2))[1] for url in camera.urls]

    assert black.mean() < 8
    assert good.mean() > 30


@pytest.mark.parametrize(("fault", "expected"), [("black", "dark"), ("freeze", "still")])
async def test_fault_of_one_optic_in_a_mosaic_is_in_its_tile(brisk_video: Path, fault: str, expected: str) -> None:
    async with playing(brisk_video, optics=2, is_mosaic=True, script=f"optic 2 {fault}") as camera:
        seen = await pictures(camera.url, 20)
    left, right = [[picture[:, begin : begin + 160].astype(int) for picture in seen] for begin in (0, 160)]

    def movement(tiles: list[np.ndarray]) -> float:
        return float(np.abs(tiles[-1] - tiles[0]).mean())

    assert movement(left) > 5
    assert movement(right) < 2
    assert (right[0].mean() < 8) == (expected == "dark")


@pytest.mark.parametrize(("fault", "kind"), [("audio", "audio"), ("metadata", "data")])
async def test_offered_tracks_are_seen_by_ffmpeg(brisk_video: Path, fault: str, kind: str) -> None:
    def kinds(url: str) -> list[str]:
        with open_stream(url) as container:
            return [stream.type for stream in container.streams]

    async with playing(brisk_video, script=fault) as camera:
        assert await asyncio.to_thread(kinds, camera.url) == ["video", kind]


async def test_offered_tracks_are_sent_only_to_who_sets_them_up(brisk_video: Path) -> None:
    async with playing(brisk_video, script="audio; metadata") as camera, RawClient.connected(camera) as client:
        await client.set_up(0, "RTP/AVP/TCP;unicast;interleaved=0-1")
        await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=4-5")
        await client.play()
        received = [await client.packet() for _ in range(40)]
    documents = [data[12:] for channel, data in received if channel == 4]

    assert {channel for channel, _ in received} == {0, 1, 4, 5}
    assert documents
    assert b"<tt:MetadataStream" in documents[0]
    assert b"HumanFace" in documents[0]


async def test_track_that_is_not_offered_is_not_found(brisk_video: Path) -> None:
    async with playing(brisk_video) as camera, RawClient.connected(camera) as client:
        assert "m=audio" not in await client.request("DESCRIBE")
        assert (await client.set_up(1)).startswith("RTSP/1.0 404 ")


def test_every_fault_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert [kind.value for kind in FaultKind if kind.value not in text] == []
