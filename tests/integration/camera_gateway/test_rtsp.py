from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.detector.v1 import detection_service_pb2 as detection
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2
from tests.contract.camera_gateway.cameras import gstreamer_camera
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import session_when, world

if TYPE_CHECKING:
    from pathlib import Path

Session = gateway.Session
SENDER_REPORT = media_pb2.CaptureTime.SOURCE_SENDER_REPORT


@pytest.mark.gstreamer
@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_a_camera_that_is_not_ours_reaches_detector_and_anonymizer(tmp_path: Path, codec: str) -> None:
    async with gstreamer_camera(codec) as address, world(tmp_path) as running:
        policy = scene_pb2.Policy(analysis_width=160, analysed_frame_rate=10)
        running.registry.grant(device_lease(address, optic(stream_path="/stream", policy=policy)))

        await eventually(lambda: len(running.anonymizer.frames) >= 10)
        await eventually(lambda: running.anonymizer.frames[-1].frame.capture_time.source == SENDER_REPORT)

        seen = await session_when(running, lambda session: session.counters.frames_sent >= 10)
    pair = running.anonymizer.frames[-1]
    frame = pair.frame
    assert running.detector.configurations[0].optic == f"{DEVICE}/optics/one"
    assert running.detector.modes[0] == detection.ANALYSIS_MODE_LIVE
    assert (frame.width, frame.height, len(frame.i420)) == (160, 120, 160 * 120 * 3 // 2)
    assert pair.verdict.sequence == frame.sequence
    assert pair.verdict.outcome == detection.Verdict.OUTCOME_ANALYSED
    assert abs(frame.capture_time.time.ToMicroseconds() / 1e6 - time.time()) < 60
    assert [f.sequence for f in running.detector.frames] == list(range(1, len(running.detector.frames) + 1))
    assert seen.state == Session.STATE_STREAMING
    assert (seen.width, seen.height) == (320, 240)
    assert seen.counters.frames_received > seen.counters.frames_sent >= 10
    assert seen.counters.current_tracks == seen.counters.tracks == 1


@pytest.mark.gstreamer
async def test_digest_credentials_open_the_camera_and_stay_out_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"cam": {"username": "canary-user", "password": "canary-password"}}))
    protected = gstreamer_camera("h264", "--user", "canary-user", "--password", "canary-password")
    async with protected as address, world(tmp_path, camera_credentials=secrets) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        await eventually(lambda: running.anonymizer.frames)

        # A rotated secret is used at the next dial, without a restart.
        secrets.write_text(json.dumps({"cam": {"username": "canary-user", "password": "canary-wrong"}}))
        running.registry.grant(device_lease(address, optic(stream_path="/stream?again")))
        seen = await session_when(running, lambda session: session.reason == "UNAUTHORIZED")

    output = capsys.readouterr()
    assert seen.state == Session.STATE_BACKING_OFF
    assert "secret" in seen.detail
    assert "canary" not in output.out + output.err + str(seen)
