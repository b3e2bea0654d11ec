"""The gateway between a camera and peers that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1 import gateway_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2 as detection
from tests.contract.camera_gateway.cameras import faulty_camera, write_clip
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, eventually, optic, timestamp
from tests.contract.camera_gateway.gateway import session_when, world
from tests.contract.streams import next_message

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Session = gateway.Session


async def test_without_a_detector_pictures_go_on_without_a_verdict_and_get_them_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        frames = running.anonymizer.frames
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: frames and frames[-1].HasField("verdict"))

        await running.close("detector")
        await eventually(lambda: not frames[-1].HasField("verdict"))
        await running.open("detector")
        await eventually(lambda: frames[-1].HasField("verdict"))

    assert [opening.optic for opening in running.detector.configurations] == [f"{DEVICE}/optics/one"] * 2
    assert all(pair.verdict.sequence == pair.frame.sequence for pair in frames if pair.HasField("verdict"))


async def test_without_an_anonymizer_analysis_goes_on(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)

        await running.close("anonymizer")
        analysed = len(running.detector.frames)
        await eventually(lambda: len(running.detector.frames) >= analysed + 3)
        masked = len(running.anonymizer.frames)
        await running.open("anonymizer")
        await eventually(lambda: len(running.anonymizer.frames) > masked)

    assert [opening.mode for opening in running.anonymizer.openings] == [redaction.REDACTION_MODE_LIVE] * 2


async def test_a_late_verdict_is_not_waited_for(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path, verdict_seconds=0.2) as running:
        running.detector.hold.clear()
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        await eventually(lambda: len(running.anonymizer.frames) >= 3)
        running.detector.hold.set()
        await eventually(lambda: running.anonymizer.frames[-1].HasField("verdict"))

    assert not running.anonymizer.frames[0].HasField("verdict")


async def test_a_detector_that_never_answers_is_called_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camera_gateway.peers.STUCK_SECONDS", 0.5)
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path, verdict_seconds=0.1) as running:
        running.detector.hold.clear()
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        await eventually(lambda: len(running.detector.configurations) >= 2)
        running.detector.hold.set()
        await eventually(lambda: running.anonymizer.frames[-1].HasField("verdict"))

    assert running.anonymizer.frames[-1].verdict.sequence == running.anonymizer.frames[-1].frame.sequence


async def test_a_frame_that_was_not_looked_at_is_counted_as_unverdicted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.detector.outcome = detection.Verdict.OUTCOME_NOT_ANALYSED_OVERLOAD
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        seen = await session_when(running, lambda session: session.counters.frames_masked >= 3)

    assert seen.counters.frames_unverdicted == seen.counters.frames_masked
    assert seen.counters.frames_analysed == 0
    assert seen.counters.unmasked_frames_out == 0
    assert seen.coverage.analysed_seconds == 0
    assert seen.coverage.masked_seconds > 0


async def test_a_changed_configuration_goes_in_band_without_a_restart(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)

        changed = optic(stream_path="/stream", display_name="renamed")
        changed.version = 2
        running.registry.grant(device_lease(address, changed))
        await eventually(lambda: len(running.anonymizer.openings) >= 2 and len(running.detector.configurations) >= 2)
        seen = await session_when(running, lambda session: session.state == Session.STATE_STREAMING)

    assert [opening.version for opening in running.detector.configurations] == [1, 2]
    assert [opening.configuration.version for opening in running.anonymizer.openings] == [1, 2]
    assert seen.attempts == 1


async def test_one_optic_of_a_device_changes_and_the_other_does_not_notice(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    one, two = optic("one", stream_path="/stream"), optic("two", stream_path="/stream")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, one, two))
        await eventually(lambda: len(running.detector.configurations) == 2 and running.anonymizer.frames)

        running.registry.grant(device_lease(address, one, optic("two", stream_path="/elsewhere")))
        await session_when(running, lambda session: session.reason == "NOT_FOUND")
        seen = await session_when(running, lambda session: session.optic.endswith("one"))

    assert (seen.state, seen.attempts) == (Session.STATE_STREAMING, 1)


async def test_a_withdrawn_lease_ends_the_stream(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)

        async with running.caller() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            watch = stub.WatchSessions(gateway.WatchSessionsRequest())
            assert (await next_message(watch, gateway.WatchSessionsResponse)).sessions[
                0
            ].optic == f"{DEVICE}/optics/one"
            running.registry.withdraw(DEVICE)
            while not (update := await next_message(watch, gateway.WatchSessionsResponse)).ended:
                pass
            left = await stub.ListSessions(gateway.ListSessionsRequest())

    assert list(update.ended) == [f"{DEVICE}/optics/one"]
    assert not left.sessions


async def test_a_lease_that_is_not_renewed_ends(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path) as running:
        running.registry.renewing = False
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), seconds=3))
        await eventually(lambda: running.anonymizer.frames)

        async with running.caller() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            watch = stub.WatchSessions(gateway.WatchSessionsRequest())
            while not (update := await next_message(watch, gateway.WatchSessionsResponse)).ended:
                pass

    assert list(update.ended) == [f"{DEVICE}/optics/one"]


async def test_without_a_registry_the_optic_goes_on_and_then_dark(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address, world(tmp_path, lease_grace_seconds=1.0) as running:
        running.registry.lease_seconds = 2.0
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), seconds=2))
        await eventually(lambda: running.anonymizer.frames)

        await running.close("registry")
        masked = len(running.anonymizer.frames)
        await eventually(lambda: len(running.anonymizer.frames) > masked)
        async with running.caller() as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            watch = stub.WatchSessions(gateway.WatchSessionsRequest())
            while not (update := await next_message(watch, gateway.WatchSessionsResponse)).ended:
                pass
        running.registry.lease_seconds = 60.0
        running.registry._leases[DEVICE].expire_time.CopyFrom(timestamp(4_000_000_000))
        await running.open("registry")
        again = await session_when(running, lambda session: session.state == Session.STATE_STREAMING)

    assert list(update.ended) == [f"{DEVICE}/optics/one"]
    assert again.attempts == 1


async def test_a_stopping_gateway_gives_its_devices_back(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    async with faulty_camera(clip) as address:
        async with world(tmp_path) as running:
            running.registry.grant(device_lease(address, optic(stream_path="/stream")))
            await eventually(lambda: running.anonymizer.frames)

        assert [(one.replica, one.capacity) for one in running.registry.announced] == [("gateway-1", 64)]
        assert running.registry.released == [DEVICE]
