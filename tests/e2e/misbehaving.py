"""Cameras that misbehave all at the same time, each in its own way, and a chronicle of what the mesh says of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from argo.alerting.v1 import coverage_service_pb2 as ledger
from argo.alerting.v1.coverage_service_pb2_grpc import CoverageServiceStub
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from argo.registry.v1 import (
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from mesh.local.environment import inherited, python_module
from tests.e2e.street import REASON, WHIP_DEVICE, WHIP_TOKEN, Street, until

SITE = "sites/misbehaviour"
Protocol = Literal["rtsp", "mjpeg", "whip"]
INGEST: Mapping[Protocol, site_pb2.Optic.Ingest.ValueType] = {
    "rtsp": site_pb2.Optic.INGEST_RTSP,
    "mjpeg": site_pb2.Optic.INGEST_MJPEG,
    "whip": site_pb2.Optic.INGEST_WHIP,
}
FIRST_PORT_OF_NOBODY = 11
"""Publishers are not dialled, but no two devices have one address."""
STREAMING = gateway.Session.STATE_STREAMING
LOOK_SECONDS = 1.0
PATIENCE, LEAST_PATIENCE = 180.0, 75.0
"""Seconds that all may take together, and that each may take in any case: above the longest wait before a dial."""


@dataclass(frozen=True)
class Misbehaviour:
    """One camera: its fault script, how its pictures travel, how many are wanted per second, and what it speaks.

    Those that publish (WHIP) are called as `publisher` says, in order.
    """

    script: Sequence[str]
    transport: site_pb2.Device.Transport.ValueType = site_pb2.Device.TRANSPORT_TCP
    # Little, for two dozen share a machine with a mesh; more than the key pictures, so that all are decoded.
    rate: float = 2.0
    protocol: Protocol = "rtsp"


@dataclass
class Chronicle:
    """What the mesh said of each camera, in the order in which it said it."""

    street: Street
    began: float = field(default_factory=time.monotonic)
    sessions: dict[str, list[gateway.Session]] = field(default_factory=lambda: defaultdict(list))
    impairments: dict[str, list[frozenset[int]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def patience(self) -> float:
        """Seconds that one may still wait: all cameras had the same time."""
        return max(LEAST_PATIENCE, self.began + PATIENCE - time.monotonic())

    def log_lines(self, device: str) -> list[dict[str, Any]]:
        """The lines of the gateway's log that are about a device."""
        text = (self.street.mesh.state.logs / "camera-gateway.log").read_text(errors="replace")
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        optic = f"devices/{device}"
        return [
            line for line in lines if optic in {line.get("device"), str(line.get("optic")).partition("/optics/")[0]}
        ]

    async def dropped(self, device: str, reason: str) -> float:
        """How many pictures of a device the gateway dropped for a reason."""
        return await self._sample(f'argo_gateway_frames_dropped_total{{optic="{optic_of(device)}",reason="{reason}"}}')

    async def left_out(self, kind: str) -> float:
        """How many tracks of a kind the gateway left out."""
        return await self._sample(f'argo_gateway_tracks_left_out_total{{kind="{kind}"}}')

    async def _sample(self, name: str) -> float:
        address = self.street.mesh.environments.health("camera-gateway")
        async with aiohttp.ClientSession() as client, client.get(f"http://{address}/metrics") as response:
            found = re.search(rf"^{re.escape(name)} (\S+)$", await response.text(), re.MULTILINE)
        return float(found[1]) if found else 0.0


def optic_of(device: str) -> str:
    """Resource name of the one optic of a device."""
    return f"devices/{device}/optics/main"


@contextlib.asynccontextmanager
async def misbehaving(street: Street, film: Path, cameras: Mapping[str, Misbehaviour]) -> AsyncIterator[Chronicle]:
    """The cameras at work, by the ids of their devices, until the end of the block."""
    async with contextlib.AsyncExitStack() as stack:
        channel = await stack.enter_async_context(street.channel("registry", "administrator/local"))
        chronicle = Chronicle(street)
        tasks = [asyncio.create_task(_forever(watch, chronicle)) for watch in (_watch_sessions, _watch_ledger)]
        try:
            for protocol in INGEST:
                speaking = {name: camera for name, camera in cameras.items() if camera.protocol == protocol}
                if speaking and protocol == "whip":
                    ports = enumerate(speaking, FIRST_PORT_OF_NOBODY)
                    await _register(channel, speaking, {name: f"127.0.0.1:{port}" for port, name in ports})
                    await stack.enter_async_context(_publishing(chronicle, film, speaking))
                elif speaking:
                    # At once: the times of a script run from when its camera can be dialled.
                    addresses = await stack.enter_async_context(_simulated(film, speaking, protocol))
                    await _register(channel, speaking, addresses)
            chronicle.began = time.monotonic()
            yield chronicle
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _forget(channel, cameras)


def publisher(number: int | str) -> str:
    """Id of the device of a publisher, by its number in the simulator."""
    return f"publisher-{number}"


@contextlib.asynccontextmanager
async def _simulated(
    film: Path, cameras: Mapping[str, Misbehaviour], protocol: Protocol
) -> AsyncIterator[dict[str, str]]:
    async with _simulator(film, cameras, "--protocol", protocol) as process:
        assert process.stdout is not None
        yield {name: urlsplit((await process.stdout.readline()).decode()).netloc for name in cameras}


@contextlib.asynccontextmanager
async def _publishing(chronicle: Chronicle, film: Path, cameras: Mapping[str, Misbehaviour]) -> AsyncIterator[None]:
    assert list(cameras) == [publisher(number) for number in range(1, len(cameras) + 1)]

    async def awaited() -> bool | None:
        return all(optic_of(name) in chronicle.sessions for name in cameras) or None

    # The times of a script run from when the simulator begins to publish.
    await until("publishers are awaited", awaited)
    web = chronicle.street.mesh.environments.web("camera-gateway")
    endpoint = f"http://{web}/whip/{publisher('{device}')}/main"
    async with _simulator(film, cameras, "--whip", endpoint, "--token", WHIP_TOKEN):
        yield


@contextlib.asynccontextmanager
async def _simulator(
    film: Path, cameras: Mapping[str, Misbehaviour], *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    lines = [f"device {number} {line}" for number, each in enumerate(cameras.values(), 1) for line in each.script]
    form = ["--devices", str(len(cameras)), "--main", "320x240@5", "--report-seconds", "1"]
    command = python_module("mesh.local.camera", str(film), *form, *options, "--fault", "\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        *command, env=inherited(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _register(channel: Any, cameras: Mapping[str, Misbehaviour], addresses: Mapping[str, str]) -> None:
    request = fleet_service_pb2.ImportFleetRequest(reason=REASON)
    site = site_pb2.Site(name=SITE, display_name="Misbehaviour")
    site.location.latitude, site.location.longitude = 45.0733, 7.6816
    request.rows.add(source="site", record=fleet_service_pb2.FleetRecord(site=site))
    for name, camera in cameras.items():
        device = site_pb2.Device(
            name=f"devices/{name}",
            site=SITE,
            address=addresses[name],
            credentials=WHIP_DEVICE if camera.protocol == "whip" else "",
            transport=camera.transport,
            view=site_pb2.Device.VIEW_OBSERVATION,
            mobility=site_pb2.Device.MOBILITY_FIXED,
            legal_basis=site_pb2.LegalBasis(
                purpose=site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY, dpia_reference="dpia", sign_reference="sign"
            ),
        )
        optic = site_pb2.Optic(
            name=optic_of(name),
            ingest=INGEST[camera.protocol],
            main_stream_path="" if camera.protocol == "whip" else "/stream",
            policy=scene_pb2.Policy(analysed_frame_rate=camera.rate, recording=scene_pb2.Policy.RECORDING_OFF),
        )
        request.rows.add(source=name, record=fleet_service_pb2.FleetRecord(device=device))
        request.rows.add(source=name, record=fleet_service_pb2.FleetRecord(optic=optic))
    stub: Any = fleet_service_pb2_grpc.FleetServiceStub(channel)
    answer = await stub.ImportFleet(request)
    assert not answer.problems, answer.problems


async def _forget(channel: Any, cameras: Mapping[str, Misbehaviour]) -> None:
    stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)
    for name in cameras:
        await stub.DeleteOptic(registry_service_pb2.DeleteOpticRequest(name=optic_of(name), reason=REASON))
        await stub.DeleteDevice(registry_service_pb2.DeleteDeviceRequest(name=f"devices/{name}", reason=REASON))
    await stub.DeleteSite(registry_service_pb2.DeleteSiteRequest(name=SITE, reason=REASON))


async def _forever(watch: Any, chronicle: Chronicle) -> None:
    # A stream that ends is opened again: what is watched is the cameras, not the stream.
    while True:
        with contextlib.suppress(Exception):
            await watch(chronicle)
        await asyncio.sleep(LOOK_SECONDS)


async def _watch_sessions(chronicle: Chronicle) -> None:
    async with chronicle.street.channel("camera-gateway") as channel:
        stub: Any = GatewayServiceStub(channel)
        async for update in stub.WatchSessions(gateway.WatchSessionsRequest()):
            for session in update.sessions:
                chronicle.sessions[session.optic].append(session)


async def _watch_ledger(chronicle: Chronicle) -> None:
    async with chronicle.street.channel("alerting") as channel:
        stub: Any = CoverageServiceStub(channel)
        while True:
            request = ledger.ListCoverageRequest(page_size=1000, reason="test")
            request.start_time.FromSeconds(int(time.time()) - 60)
            request.end_time.FromSeconds(int(time.time()) + 60)
            for coverage in (await stub.ListCoverage(request)).coverages:
                chronicle.impairments[coverage.optic].append(frozenset(coverage.impairments))
            await asyncio.sleep(LOOK_SECONDS)


async def seen(
    chronicle: Chronicle, device: str, what: str, condition: Callable[[list[gateway.Session]], bool]
) -> list[gateway.Session]:
    """The history of a camera's session once it meets a condition."""
    history = chronicle.sessions[optic_of(device)]

    async def probe() -> list[gateway.Session] | None:
        return history if history and condition(history) else None

    return await until(f"{device}: {what}", probe, chronicle.patience)


def works_after(history: list[gateway.Session], since: int) -> bool:
    """Whether pictures are received, analysed and masked after a point of the history, without an end in between."""
    last, then = history[-1], history[since]
    if last.state != STREAMING or any(session.state != STREAMING for session in history[since:]):
        return False
    now, before = last.counters, then.counters
    return now.frames_masked > before.frames_masked + 2 and now.frames_analysed > before.frames_analysed


def last_not_streaming(history: Iterable[gateway.Session]) -> int:
    return max((place for place, session in enumerate(history) if session.state != STREAMING), default=-1)


async def healed(chronicle: Chronicle, device: str) -> list[gateway.Session]:
    """The history of a camera's session once it streams again."""
    return await seen(
        chronicle,
        device,
        "pictures are analysed and masked",
        lambda history: (since := last_not_streaming(history) + 1) < len(history) and works_after(history, since),
    )
