"""A detector that falls behind: less is analysed, what is left out is counted and said, and it is over by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from argo.registry.v1 import scene_pb2
from camera_gateway.domain import sharing
from tests.contract.camera_gateway.cameras import faulty_camera, write_clip
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import session_when, world

if TYPE_CHECKING:
    from pathlib import Path

SHED = "argo_gateway_frames_dropped_total"


async def test_a_detector_that_is_behind_gets_less_and_everything_again_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sharing, "RECOVERED_SECONDS", 1.0)
    clip = write_clip(tmp_path / "clip.mp4")
    policy = scene_pb2.Policy(analysed_frame_rate=5.0, heartbeat_frame_rate=0.5)
    async with (
        faulty_camera(clip) as address,
        world(tmp_path, verdict_seconds=0.5, log_format="json") as running,
    ):

        def shed() -> float:
            labels = {"optic": optic().optic, "reason": "shed"}
            return running.application.metrics.get_sample_value(SHED, labels) or 0.0

        def budget() -> float:
            return running.application.metrics.get_sample_value("argo_gateway_analysis_budget") or 0.0

        running.registry.grant(device_lease(address, optic(stream_path="/stream", policy=policy)))
        await session_when(running, lambda session: session.counters.frames_masked > 3)
        running.detector.hold.clear()
        await eventually(lambda: shed() > 3, 60)
        least = budget()
        masked = len(running.anonymizer.frames)
        # The minimum goes on.
        await eventually(lambda: len(running.anonymizer.frames) > masked + 1, 60)
        running.detector.hold.set()
        await eventually(lambda: budget() == float("inf"), 60)
        session = await session_when(running, lambda session: session.coverage.shed_frames > 0)
    told = capsys.readouterr().out

    assert 0.5 <= least < 5.0
    assert session.coverage.shed_frames > 3
    # Once each; a machine that is overloaded itself may have more to tell.
    assert 1 <= told.count("overload.began") <= told.count("overload.ended") + 1
    assert "overload.ended" in told
