"""A whole mesh as its clients see it, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc

from argo.alerting.v1 import alert_service_pb2 as alerting
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.anonymizer.v1 import recording_service_pb2
from argo.anonymizer.v1.recording_service_pb2_grpc import RecordingServiceStub
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from mesh.local.demo.registration import CameraRecord, open_registrar
from mesh.local.demo.scene import scene_of
from mesh.local.demo.sources import FileSource
from mesh.local.runner import LocalMesh
from mesh.local.sample import ensure_sample
from mesh.rpc.channel import open_channel

T = TypeVar("T")

REASON = "end-to-end test"
CAMERA = "demo-camera-1"
OPTIC = f"devices/{CAMERA}/optics/main"
PATIENCE = 60.0
_TAKEN_ON = (
    alerting.Alert.STATE_ACKNOWLEDGED,
    alerting.Alert.STATE_VERIFIED,
    alerting.Alert.STATE_DISPATCHED,
)
WHIP_DEVICE, WHIP_TOKEN = "whip-camera", "a-token-of-the-tests"


async def until(what: str, probe: Callable[[], Awaitable[T | None]], patience: float = PATIENCE) -> T:
    """The first answer of a probe that is not None."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            if (answer := await probe()) is not None:
                return answer
        assert time.monotonic() < deadline, f"{what}: not within {patience:g} s"
        await asyncio.sleep(0.2)


class Street:
    """A running mesh as its clients see it."""

    def __init__(self, mesh: LocalMesh) -> None:
        self.mesh = mesh
        self._records: dict[str, CameraRecord] = {}

    @contextlib.asynccontextmanager
    async def channel(self, service: str, identity: str = "operator/local") -> AsyncIterator[grpc.aio.Channel]:
        target = self.mesh.environments.target(service)
        async with open_channel(target, self.mesh.settings_of(identity), peer=f"service/{service}") as channel:
            yield channel

    async def play(self, device: str, file: Path, *options: str) -> str:
        """Start a camera process for a file; returns where it listens."""
        address = self.mesh.state.ports.address(device)
        await self.mesh.start_child(
            device, "mesh.local.camera", str(file), "--listen", address, "--path", "/stream", *options, environment={}
        )
        return address

    async def register(self, device: str, address: str, path: str = "/stream") -> str:
        """Make the registry know a camera; returns the name of its optic."""
        scene = scene_of(FileSource(ensure_sample().resolve()))
        self._records[device] = CameraRecord(device, device, address, path, "", scene)
        await self._register()
        return self._records[device].optic

    async def forget(self, device: str) -> None:
        """Take a camera out of the registry again."""
        del self._records[device]
        await self._register()

    async def _register(self) -> None:
        async with open_registrar(self.mesh.environments.target("registry"), self.mesh.settings_of) as registrar:
            await registrar.register(list(self._records.values()))

    async def session(self, optic: str) -> gateway.Session | None:
        """What the gateway says of an optic, or None if it does not work on it."""
        async with self.channel("camera-gateway") as channel:
            stub: Any = GatewayServiceStub(channel)
            answer = await stub.ListSessions(gateway.ListSessionsRequest(page_size=1000))
        return next((session for session in answer.sessions if session.optic == optic), None)

    async def streaming(self, optic: str, patience: float = PATIENCE) -> gateway.Session:
        """Wait until pictures of an optic are received, analysed and masked."""

        async def probe() -> gateway.Session | None:
            session = await self.session(optic)
            if session is None or session.state != gateway.Session.STATE_STREAMING:
                return None
            counters = session.counters
            return session if min(counters.frames_analysed, counters.frames_masked) > 0 else None

        return await until(f"{optic} streams", probe, patience)

    async def alerts(self, identity: str = "operator/local") -> list[alerting.Alert]:
        """All alerts, newest first."""
        found: list[alerting.Alert] = []
        async with self.channel("alerting", identity) as channel:
            stub: Any = AlertServiceStub(channel)
            request = alerting.ListAlertsRequest(page_size=1000, reason=REASON)
            while True:
                page = await stub.ListAlerts(request)
                found += page.alerts
                if not page.next_page_token:
                    return found
                request.page_token = page.next_page_token

    async def first_alert(self) -> alerting.Alert:
        """Wait for an alert."""

        async def probe() -> alerting.Alert | None:
            alerts = await self.alerts()
            return alerts[0] if alerts else None

        return await until("an alert", probe)

    async def raised_alert(self) -> alerting.Alert:
        """Wait for an alert that nobody has taken on. The others are closed, so that their events raise new ones."""

        async def probe() -> alerting.Alert | None:
            alerts = await self.alerts()
            await self._close(each.name for each in alerts if each.state in _TAKEN_ON)
            return next((each for each in alerts if each.state == alerting.Alert.STATE_RAISED), None)

        return await until("an alert that nobody has taken on", probe)

    async def recorded(self, optic: str, at: datetime) -> recording_service_pb2.Recording:
        """The first recording that ends after a time, once there is one."""
        access = recording_service_pb2.Access(purpose="test of the road", reason="wait for a recording")
        request = recording_service_pb2.ListRecordingsRequest(optic=optic, access=access)
        request.interval.start_time.FromDatetime(at)
        request.interval.end_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
        async with self.channel("anonymizer", "supervisor/e2e") as channel:
            stub = RecordingServiceStub(channel)

            async def probe() -> recording_service_pb2.Recording | None:
                return next(iter((await stub.ListRecordings(request)).recordings), None)

            return await until("a recording", probe)

    async def _close(self, names: Iterable[str]) -> None:
        async with self.channel("alerting") as channel:
            stub: Any = AlertServiceStub(channel)
            for name in names:
                await stub.CloseAlert(alerting.CloseAlertRequest(name=name, reason=REASON))

    def log_events(self, service: str) -> list[str]:
        """The names of the events in a service's log."""
        lines = (self.mesh.state.logs / f"{service}.log").read_text(errors="replace").splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]
