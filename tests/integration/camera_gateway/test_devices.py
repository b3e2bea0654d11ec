"""Devices with several optics: one session for a mosaic, one incident for an outage, and each optic for itself."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from argo.camera_gateway.v1 import coverage_pb2
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2
from mesh.testing import certificate_authority, embedded_nats
from tests.contract.camera_gateway.far_ends import DEVICE, device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import NOWHERE, session_when, world
from tests.integration.camera_gateway.test_health import Reports, collect
from tests.integration.camera_gateway.test_mjpeg import camera, pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from argo.registry.v1 import lease_service_pb2 as lease

Session = gateway.Session
MJPEG = site_pb2.Optic.INGEST_MJPEG
EVERY_FRAME = scene_pb2.Policy(analysed_frame_rate=1000)
NAMES = ("one", "two", "three", "four")


def quarter(name: str, left: float, top: float, **fields: Any) -> lease.OpticConfiguration:
    crop = geometry_pb2.Box(left=left, top=top, width=0.5, height=0.5)
    return optic(name, ingest=MJPEG, stream_path="/mosaic", crop=crop, **fields)


def named(optic_id: str, condition: Callable[[Session], bool]) -> Callable[[Session], bool]:
    return lambda session: session.optic.endswith(f"/{optic_id}") and condition(session)


def mosaic(**fields: Any) -> list[lease.OpticConfiguration]:
    places = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)]
    return [quarter(name, *place, **fields) for name, place in zip(NAMES, places, strict=True)]


async def test_four_optics_in_one_picture_share_one_session_and_keep_their_own_accounts(tmp_path: Path) -> None:
    asked: list[str] = []

    async def handle(request: Any) -> Any:
        asked.append(request.path)
        return await pictures(request)

    async with camera(handle) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, *mosaic()))
        seen = [
            await session_when(running, named(name, lambda session: session.counters.frames_masked > 2))
            for name in NAMES
        ]

        # One of them changes: it goes on under its new width, in the same session, and the others do not notice.
        changed = quarter("two", 0.5, 0.0, policy=scene_pb2.Policy(analysis_width=80))
        optics = [changed if each.optic.endswith("two") else each for each in mosaic()]
        running.registry.grant(device_lease(address, *optics))
        await eventually(lambda: running.anonymizer.frames[-1].frame.width == 80)
        after = await session_when(running, lambda session: session.optic.endswith("one"))

    assert asked == ["/mosaic"]
    assert {(session.width, session.height) for session in seen} == {(160, 120)}
    assert {session.attempts for session in [*seen, after]} == {1}
    assert {pair.frame.width for pair in running.anonymizer.frames} == {160, 80}
    assert {configuration.optic for configuration in running.detector.configurations} == {
        f"{DEVICE}/optics/{name}" for name in NAMES
    }


async def test_an_optic_with_an_unusable_crop_is_not_worked_on_and_hurts_nobody(tmp_path: Path) -> None:
    async with camera(pictures) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, quarter("bad", 0.8, 0.8), quarter("one", 0.0, 0.0)))
        await eventually(lambda: running.anonymizer.frames)

    assert {configuration.optic for configuration in running.detector.configurations} == {f"{DEVICE}/optics/one"}


def lines(output: str, event: str) -> list[str]:
    return [line for line in output.splitlines() if event in line]


def all_lost(reports: Reports) -> bool:
    return {report.optic.rpartition("/")[2] for _, report in reports if report.incident} == set(NAMES)


async def test_a_device_that_loses_its_network_is_one_incident_in_the_log_and_in_the_health(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four streams of one device; the server goes away with all of them, and comes back."""
    authority = certificate_authority(tmp_path / "authority")
    serving = asyncio.Event()
    serving.set()

    async def handle(request: Any) -> Any:
        if not serving.is_set():
            request.transport.abort()
        return await pictures(request, interrupted)

    def interrupted(_: int, data: bytes) -> bytes:
        if not serving.is_set():
            raise ConnectionResetError
        return data

    optics = [optic(name, ingest=MJPEG, stream_path=f"/{name}") for name in NAMES]
    async with (
        embedded_nats(tmp_path / "nats", authority) as server,
        camera(handle) as address,
        world(tmp_path, nats_url=server.url, health_interval_seconds=1.0, log_format="json") as running,
    ):
        running.registry.grant(device_lease(address, *optics))
        for name in NAMES:
            await session_when(running, named(name, lambda session: session.state == Session.STATE_STREAMING))
        serving.clear()
        reports = await collect(server, running, all_lost)
        serving.set()
        for name in NAMES:
            await session_when(running, named(name, lambda session: session.state == Session.STATE_STREAMING))
    output = capsys.readouterr().out

    (lost,) = lines(output, "camera.lost")
    (restored,) = lines(output, "camera.restored")
    assert "whole_device=True" in lost.replace('"whole_device": true', "whole_device=True")
    incidents = {report.incident for _, report in reports if report.incident}
    assert len(incidents) == 1
    assert incidents.pop() in lost
    assert restored
    assert all(
        coverage_pb2.HealthReport.IMPAIRMENT_SIGNAL_LOSS in report.impairments
        for _, report in reports
        if report.incident
    )


async def test_fifty_more_optics_cost_the_running_one_no_frame(tmp_path: Path) -> None:
    """The others' cameras accept and say nothing, refuse, or are not there."""
    sent = 0
    enough = asyncio.Event()

    async def handle(request: Any) -> Any:
        if request.path != "/running":
            await asyncio.Event().wait()

        def count(number: int, data: bytes) -> bytes:
            nonlocal sent
            if enough.is_set():
                raise ConnectionResetError
            sent = number + 1
            return data

        return await pictures(request, count)

    running_optic = optic("one", ingest=MJPEG, stream_path="/running", policy=EVERY_FRAME)
    silent = [optic(f"silent-{number}", ingest=MJPEG, stream_path=f"/{number}") for number in range(25)]
    async with camera(handle) as address, world(tmp_path, connect_seconds=3.0) as running:
        running.registry.grant(device_lease(address, running_optic))
        await session_when(running, lambda session: session.counters.frames_received >= 5)
        running.registry.grant(device_lease(address, running_optic, *silent))
        absent = device_lease(NOWHERE, *[optic(f"absent-{n}", stream_path=f"/{n}") for n in range(25)])
        absent.device = "devices/absent"
        for each in absent.optics:
            each.optic = each.optic.replace(DEVICE, absent.device)
            # Another site: these need not wait until the silent ones had their turns.
            each.site = "sites/elsewhere"
        running.registry.grant(absent)
        await session_when(
            running, lambda s: s.optic.startswith(absent.device) and s.state == Session.STATE_BACKING_OFF
        )
        await session_when(running, lambda s: "silent" in s.optic and s.reason == "CONNECT_TIMEOUT")
        enough.set()
        seen = await session_when(running, lambda s: s.optic.endswith("/one") and s.state == Session.STATE_BACKING_OFF)

    assert seen.attempts == 1
    # The connection may end before the very last picture is decoded.
    assert sent - 1 <= seen.counters.frames_received <= sent
    assert seen.counters.frames_broken == 0


async def test_secrets_of_one_device_do_not_open_another(tmp_path: Path) -> None:
    """Each device is dialled with the secret that the registry names for it."""
    sent: dict[str, str] = {}

    async def handle(request: Any) -> Any:
        if "Authorization" not in request.headers:
            from aiohttp import web

            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="cam"'})
        sent[request.path] = request.headers["Authorization"]
        return await pictures(request)

    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"cam": {"username": "u", "password": "p", "plain_basic": True}}))
    async with camera(handle) as address, world(tmp_path, camera_credentials=secrets) as running:
        with_secret = device_lease(address, optic("one", ingest=MJPEG, stream_path="/one"))
        without = device_lease(address, optic("two", ingest=MJPEG, stream_path="/two"), credentials="other")
        without.device = "devices/other"
        without.optics[0].optic = "devices/other/optics/two"
        running.registry.grant(with_secret)
        running.registry.grant(without)
        await session_when(running, lambda session: session.state == Session.STATE_STREAMING)
        refused = await session_when(running, lambda session: session.reason == "UNAUTHORIZED")

    assert list(sent) == ["/one"]
    assert refused.optic == "devices/other/optics/two"
