from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from argo.camera_gateway.v1 import coverage_pb2
from mesh.bus import Bus, Delivery
from mesh.testing import certificate_authority, embedded_nats
from tests.contract.camera_gateway.cameras import faulty_camera, write_clip
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import NOWHERE, World, world

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.embedded import EmbeddedNats


Reports = list[tuple[str, coverage_pb2.HealthReport]]
"""Each with its subject."""


async def collect(server: EmbeddedNats, running: World, enough: Callable[[Reports], bool]) -> Reports:
    """The reports on the bus from the first on, until they are enough."""
    reports: Reports = []

    async def handle(report: coverage_pb2.HealthReport, delivery: Delivery) -> None:
        reports.append((delivery.subject, report))

    tls = running.authority.issue("system/reader")
    async with Bus.connect(server.url, name="reader", tls=tls) as bus:
        await bus.wait_connected(30)
        consuming = asyncio.create_task(
            bus.consume(
                "ARGO_HEALTH",
                durable="reader",
                subject="argo.v1.health.>",
                message_type=coverage_pb2.HealthReport,
                handle=handle,
            )
        )
        await eventually(lambda: reports and enough(reports))
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
    return reports


async def test_coverage_is_published(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    authority = certificate_authority(tmp_path / "authority")
    async with (
        embedded_nats(tmp_path / "nats", authority) as server,
        faulty_camera(clip) as address,
        world(tmp_path, nats_url=server.url, health_interval_seconds=1.0) as running,
    ):
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))
        reports = await collect(server, running, lambda reports: reports[-1][1].coverage.masked_seconds > 0)

    subject, report = reports[-1]
    assert subject == "argo.v1.health.cam.one"
    assert (report.optic, report.site, report.replica) == (f"{DEVICE}/optics/one", "sites/square", "gateway-1")
    assert 0 < report.coverage.received_seconds <= report.coverage.elapsed_seconds
    assert report.coverage.analysed_seconds > 0
    assert not report.impairments


async def test_a_camera_that_is_away_is_reported_lost_with_its_reason(tmp_path: Path) -> None:
    authority = certificate_authority(tmp_path / "authority")
    async with (
        embedded_nats(tmp_path / "nats", authority) as server,
        world(tmp_path, nats_url=server.url, health_interval_seconds=4.0) as running,
    ):
        running.registry.grant(device_lease(NOWHERE, optic()))
        reports = await collect(server, running, lambda reports: bool(reports[-1][1].gaps))

    report = reports[-1][1]
    assert report.coverage.received_seconds == 0
    assert report.coverage.lost_seconds == report.coverage.elapsed_seconds > 0
    assert {gap.kind for gap in report.gaps} == {
        coverage_pb2.Gap.KIND_NOT_RECEIVED,
        coverage_pb2.Gap.KIND_NOT_ANALYSED,
        coverage_pb2.Gap.KIND_NOT_MASKED,
    }
    assert {gap.reason for gap in report.gaps} == {"UNREACHABLE"}
    assert list(report.impairments) == [coverage_pb2.HealthReport.IMPAIRMENT_SIGNAL_LOSS]
