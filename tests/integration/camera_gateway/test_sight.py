"""A device whose optics are covered, dazzled, breathed upon, fogged, frozen and turned, and then left alone again."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from argo.camera_gateway.v1 import coverage_pb2
from camera_gateway.domain import sight
from mesh.bus import Bus, Delivery
from mesh.testing import certificate_authority, embedded_nats
from tests.contract.camera_gateway.cameras import faulty_camera
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import world
from tests.unit.camera_gateway import scenes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

Report = coverage_pb2.HealthReport

FAULTS = {
    "black": Report.IMPAIRMENT_IMAGE_TOO_DARK,
    "bright": Report.IMPAIRMENT_IMAGE_TOO_BRIGHT,
    "blur": Report.IMPAIRMENT_IMAGE_TOO_BLURRY,
    "fog": Report.IMPAIRMENT_LOW_VISIBILITY,
    "freeze": Report.IMPAIRMENT_FROZEN,
    "scene-change": Report.IMPAIRMENT_GLOBAL_SCENE_CHANGE,
}


def write_street(path: Path, seconds: int = 8, rate: int = 5) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = scenes.WIDTH, scenes.HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, rate)
        chroma = np.full((scenes.HEIGHT // 2, scenes.WIDTH), 128, np.uint8)
        for number in range(seconds * rate):
            picture = np.vstack([scenes.street(number, people=4), chroma])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


async def test_each_fault_ends_in_the_named_impairment_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The scene is learned in a tenth of the time; the durations of the modes stay.
    monkeypatch.setattr(sight, "PERIOD", 0.5)
    clip = write_street(tmp_path / "street.mp4")
    script = "; ".join(f"optic {number} at 20 for 45 {fault}" for number, fault in enumerate(FAULTS, 1))
    expected = {f"o{number}": {wrong} for number, wrong in enumerate(FAULTS.values(), 1)}
    seen: dict[str, set[int]] = {name: set() for name in expected}
    now: dict[str, set[int]] = {name: {0} for name in expected}

    async def handle(report: coverage_pb2.HealthReport, _delivery: Delivery) -> None:
        name = report.optic.rpartition("/")[2]
        now[name] = {int(wrong) for wrong in report.impairments if wrong != Report.IMPAIRMENT_SIGNAL_LOSS}
        seen[name] |= now[name]

    authority = certificate_authority(tmp_path / "authority")
    async with (
        embedded_nats(tmp_path / "nats", authority) as server,
        faulty_camera(clip, "--optics", str(len(FAULTS)), "--fault", script) as address,
        world(tmp_path, nats_url=server.url, health_interval_seconds=1.0, log_format="json") as running,
        Bus.connect(server.url, name="reader", tls=running.authority.issue("system/reader")) as bus,
    ):
        optics = [optic(f"o{number}", stream_path=f"/stream/{number}") for number in range(1, len(FAULTS) + 1)]
        running.registry.grant(device_lease(address, *optics))
        await bus.wait_connected(30)
        reading = asyncio.create_task(
            bus.consume("ARGO_HEALTH", durable="reader", subject="argo.v1.health.>", message_type=Report, handle=handle)
        )
        try:
            await eventually(lambda: all(seen[name] >= wrong for name, wrong in expected.items()), 120)
            await eventually(lambda: not any(now.values()), 120)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    told = capsys.readouterr().out

    assert seen == expected
    assert told.count("optic.impaired") == len(FAULTS)
    assert told.count("optic.sight_restored") == len(FAULTS)
