"""The camera simulator's faults of time, transport and tracks: each is survived in the same session."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import site_pb2
from argo.type.v1 import geometry_pb2, media_pb2
from tests.contract.camera_gateway.cameras import faulty_camera, write_clip
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import World, session_when, world

if TYPE_CHECKING:
    from pathlib import Path

Session = gateway.Session
ARRIVAL, REPORT = media_pb2.CaptureTime.SOURCE_ARRIVAL, media_pb2.CaptureTime.SOURCE_SENDER_REPORT


def capture_times(running: World) -> list[int]:
    return [pair.frame.capture_time.time.ToMicroseconds() for pair in running.anonymizer.frames]


def dropped(running: World, reason: str) -> float:
    labels = {"optic": f"{DEVICE}/optics/one", "reason": reason}
    return running.application.metrics.get_sample_value("argo_gateway_frames_dropped_total", labels) or 0.0


@pytest.mark.parametrize("fault", ["loss rate=0.05", "reorder rate=0.2", "loss rate=0.02; reorder rate=0.1"])
async def test_packets_that_are_lost_or_overtaken_cost_pictures_and_not_the_session(tmp_path: Path, fault: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip, "--fault", fault) as address, world(tmp_path) as running:
        udp = site_pb2.Device.TRANSPORT_UDP
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), transport=udp))
        await eventually(lambda: len(running.anonymizer.frames) >= 20)
        seen = await session_when(running, lambda session: session.counters.frames_masked >= 20)

    assert (seen.state, seen.attempts) == (Session.STATE_STREAMING, 1)
    times = capture_times(running)
    assert times == sorted(set(times))
    if "loss" not in fault:
        assert seen.counters.frames_broken == 0


@pytest.mark.parametrize(
    "fault", ["after 1 pts-jump seconds=1000", "after 1 pts-jump seconds=-1000", "after 1 pts-jump seconds=20000"]
)
async def test_a_jump_of_the_timestamps_is_survived_and_the_times_stay_true(tmp_path: Path, fault: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip, "--fault", fault) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: len(running.anonymizer.frames) >= 20)
        seen = await session_when(running, lambda session: session.counters.frames_masked >= 20)

    times = capture_times(running)
    assert seen.attempts == 1
    assert all(0 < later - earlier < 5_000_000 for earlier, later in itertools.pairwise(times))


async def test_frames_with_timestamps_from_the_past_are_counted_and_dropped(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    fault = "after 1 for 0.4 timestamps-backwards seconds=0.5"
    async with faulty_camera(clip, "--fault", fault) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: dropped(running, "out_of_order") > 0)
        before = len(running.anonymizer.frames)
        await eventually(lambda: len(running.anonymizer.frames) > before + 5)
        seen = await session_when(running, lambda session: session.counters.frames_masked > 5)

    times = capture_times(running)
    assert seen.attempts == 1
    assert times == sorted(set(times))


@pytest.mark.slow
async def test_a_clock_that_runs_away_is_told_once_and_no_longer_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    told = ""
    options = ("--report-seconds", "0.5", "--fault", "after 2 clock-jump seconds=90")
    async with faulty_camera(clip, *options) as address, world(tmp_path) as running:

        def tells() -> bool:
            nonlocal told
            told += capsys.readouterr().out
            return "optic.clock_drift" in told

        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)
        await eventually(tells)
        session = await session_when(running, lambda _: True)

    sources = [pair.frame.capture_time.source for pair in running.anonymizer.frames]
    assert REPORT in sources
    assert sources[-1] == ARRIVAL
    assert told.count("optic.clock_drift") == 1
    assert session.attempts == 1
    times = capture_times(running)
    assert all(0 < later - earlier < 5_000_000 for earlier, later in itertools.pairwise(times))


async def test_audio_and_metadata_are_offered_and_left_out(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip, "--fault", "audio; metadata") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)
        metrics = running.application.metrics
        left_out = {
            kind: metrics.get_sample_value("argo_gateway_tracks_left_out_total", {"kind": kind})
            for kind in ("audio", "metadata")
        }

    assert left_out == {"audio": 1.0, "metadata": 1.0}


async def test_a_mosaic_over_rtsp_is_one_session_and_four_optics(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    places = {"a": (0.0, 0.0), "b": (0.5, 0.0), "c": (0.0, 0.5), "d": (0.5, 0.5)}
    optics = [
        optic(name, stream_path="/stream", crop=geometry_pb2.Box(left=left, top=top, width=0.5, height=0.5))
        for name, (left, top) in places.items()
    ]
    async with faulty_camera(clip, "--optics", "4", "--mosaic") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, *optics))
        seen = []
        for name in places:

            def runs(session: Session, name: str = name) -> bool:
                return session.optic.endswith(f"/{name}") and session.counters.frames_masked > 1

            seen.append(await session_when(running, runs))

    assert {session.attempts for session in seen} == {1}
    assert {(session.width, session.height) for session in seen} == {(320, 240)}
    assert {(pair.frame.width, pair.frame.height) for pair in running.anonymizer.frames} == {(320, 240)}


async def test_a_camera_that_takes_the_connection_and_says_nothing_is_named(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with (
        faulty_camera(clip, "--fault", "hang-after-connect") as address,
        world(tmp_path, connect_seconds=0.5) as running,
    ):
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        seen = await session_when(running, lambda session: session.state == Session.STATE_BACKING_OFF)

    assert seen.reason == "CONNECT_TIMEOUT"
