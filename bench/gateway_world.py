"""A real gateway process among real neighbours: registry, NATS, PostgreSQL, and cameras that are simulated.

The detector and the anonymizer are small servers in this process, over mutual TLS like the real ones: they take each
frame apart as far as its message, note when it came, and answer that nobody is on it and that it is masked whole. What
they would do with its pixels is none of the gateway's cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import structlog

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.anonymizer.v1 import redaction_service_pb2_grpc
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from argo.detector.v1 import detection_service_pb2 as detection
from argo.detector.v1 import detection_service_pb2_grpc
from argo.registry.v1 import fleet_service_pb2, fleet_service_pb2_grpc, scene_pb2, site_pb2
from argo.type.v1 import media_pb2
from mesh.local.environment import MeshOptions, inherited, python_module
from mesh.local.runner import LocalMesh
from mesh.local.state import StateFolder
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer
from mesh.testing import serving

GATEWAY = "camera-gateway"
STREAM = "/stream"
_FIRST_PORT, _LAST_PORT = 10_000, 30_000
_POLL_SECONDS = 0.5


def policy(rate: float, width: int, *, heartbeat: float | None = None) -> scene_pb2.Policy:
    """How an optic is analysed: as often when still unless a ``heartbeat`` is given."""
    return scene_pb2.Policy(
        analysed_frame_rate=rate,
        heartbeat_frame_rate=rate if heartbeat is None else heartbeat,
        analysis_width=width,
    )


@dataclass
class Arrivals:
    """When frames reached the detector.

    Attributes:
        seconds: by optic: from the capture of each frame, as the camera's sender reports tell it, to here.
        unknown: frames whose capture time is only an estimate.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unknown: int = 0

    def clear(self) -> None:
        """Begin to measure."""
        self.seconds.clear()
        self.unknown = 0

    def add(self, optic: str, frame: media_pb2.Frame) -> None:
        """A frame came."""
        if frame.capture_time.source == media_pb2.CaptureTime.SOURCE_SENDER_REPORT:
            self.seconds[optic].append(time.time() - frame.capture_time.time.ToMicroseconds() / 1e6)
        else:
            self.unknown += 1


class _Detector(detection_service_pb2_grpc.DetectionServiceServicer):
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def Analyze(self, request_iterator: Any, context: Any) -> AsyncIterator[detection.Verdict]:  # noqa: N802
        optic = ""
        async for request in request_iterator:
            if request.WhichOneof("message") == "configuration":
                optic = request.configuration.optic
                continue
            self._arrivals.add(optic, request.frame)
            # Anything else than this tells the gateway to send less.
            yield detection.Verdict(sequence=request.frame.sequence, outcome=detection.Verdict.OUTCOME_ANALYSED)


class _Anonymizer(redaction_service_pb2_grpc.RedactionServiceServicer):
    async def Redact(self, request_iterator: Any, context: Any) -> AsyncIterator[redaction.RedactResponse]:  # noqa: N802
        async for request in request_iterator:
            if request.WhichOneof("message") == "frame":
                yield redaction.RedactResponse(
                    sequence=request.frame.frame.sequence,
                    basis=redaction.RedactResponse.BASIS_VERDICT,
                    masked_fraction=1.0,
                )


@dataclass(frozen=True)
class World:
    """The running gateway.

    Attributes:
        arrivals: what reached the detector.
    """

    mesh: LocalMesh
    arrivals: Arrivals

    @property
    def process(self) -> psutil.Process:
        """The gateway's process; it must never have been started again."""
        pid = self.mesh.supervisor.pids[GATEWAY]
        if pid is None or self.mesh.supervisor.restarts[GATEWAY]:
            raise SystemExit("bench: the gateway died")
        return psutil.Process(pid)

    async def register(self, addresses: Sequence[str], optics: int, rules: scene_pb2.Policy, *, first: int = 0) -> None:
        """Make the registry know devices with ``optics`` optics each; the first of them is number ``first``."""
        request = fleet_service_pb2.ImportFleetRequest(reason="benchmark")
        for number, address in enumerate(addresses, first):
            for record in _records(number, address, optics, rules):
                request.rows.add(source=f"device {number}", record=record)
        target = self.mesh.environments.target("registry")
        settings = self.mesh.settings_of("administrator/local")
        async with open_channel(target, settings, peer="service/registry") as channel:
            stub: Any = fleet_service_pb2_grpc.FleetServiceStub(channel)
            answer = await stub.ImportFleet(request, timeout=60)
        if answer.problems:
            raise SystemExit(f"bench: the fleet was refused: {answer.problems[0]}")

    async def sessions(self) -> list[gateway.Session]:
        """What the gateway says of its optics."""
        target = self.mesh.environments.target(GATEWAY)
        async with open_channel(target, self.mesh.settings_of("operator/local"), peer=f"service/{GATEWAY}") as channel:
            stub: Any = GatewayServiceStub(channel)
            answer = await stub.ListSessions(gateway.ListSessionsRequest(page_size=1000), timeout=30)
        return list(answer.sessions)

    async def until_streaming(self, optics: int, patience: float) -> float:
        """Seconds until so many optics stream.

        Raises:
            TimeoutError: not all did in ``patience`` seconds.
        """
        started = time.monotonic()
        while True:
            sessions = await self.sessions()
            streaming = sum(session.state == gateway.Session.STATE_STREAMING for session in sessions)
            if streaming >= optics:
                return time.monotonic() - started
            if time.monotonic() - started > patience:
                raise TimeoutError(f"{streaming} of {optics} optics stream after {patience:g} s")
            await asyncio.sleep(_POLL_SECONDS)


@contextlib.asynccontextmanager
async def gateway_world(settings: Mapping[str, str]) -> AsyncIterator[World]:
    """The gateway with more settings (``ARGO_...``), and no camera yet."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    options = MeshOptions(services=("registry", GATEWAY), console=False, settings={GATEWAY: settings})
    arrivals = Arrivals()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = await stack.enter_async_context(LocalMesh(stack.enter_context(StateFolder(folder)), options))
        await stack.enter_async_context(_serving(mesh, "detector", _Detector(arrivals)))
        await stack.enter_async_context(_serving(mesh, "anonymizer", _Anonymizer()))
        await mesh.start_services()
        yield World(mesh, arrivals)


@contextlib.asynccontextmanager
async def _serving(mesh: LocalMesh, service: str, servicer: _Detector | _Anonymizer) -> AsyncIterator[None]:
    settings = mesh.settings_of(f"service/{service}").model_copy(
        update={"grpc_listen": mesh.environments.target(service)}
    )

    def register(server: GrpcServer) -> None:
        if isinstance(servicer, _Detector):
            name, add = "argo.detector.v1.DetectionService", detection_service_pb2_grpc
            server.add(add.add_DetectionServiceServicer_to_server, servicer, name)
            server.open({f"/{name}/Analyze": (f"service/{GATEWAY}",)})
        else:
            name = "argo.anonymizer.v1.RedactionService"
            server.add(redaction_service_pb2_grpc.add_RedactionServiceServicer_to_server, servicer, name)
            server.open({f"/{name}/Redact": (f"service/{GATEWAY}",)})

    async with serving(settings, register):
        yield


@contextlib.asynccontextmanager
async def cameras(film: Path, devices: int, optics: int, *faults: str) -> AsyncIterator[list[str]]:
    """The addresses of simulated devices that play a film."""
    port = _free_ports(devices)
    options = ["--devices", str(devices), "--optics", str(optics), "--listen", f"127.0.0.1:{port}"]
    options += [word for fault in faults for word in ("--fault", fault)]
    process = await asyncio.create_subprocess_exec(
        *python_module("mesh.local.camera", str(film), *options),
        env=inherited(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None  # it was asked for
    try:
        for _ in range(devices * optics):
            await asyncio.wait_for(process.stdout.readline(), 60)
        yield [f"127.0.0.1:{port + number}" for number in range(devices)]
    finally:
        process.terminate()
        await process.wait()


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses."""
    while True:
        first = random.randrange(_FIRST_PORT, _LAST_PORT - count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def _records(
    number: int, address: str, optics: int, rules: scene_pb2.Policy
) -> Iterator[fleet_service_pb2.FleetRecord]:
    """A device, its optics, and with every fourth device a site."""
    site = site_pb2.Site(name=f"sites/site-{number // 4}", display_name=f"Site {number // 4}")
    site.location.latitude, site.location.longitude = 45.0733, 7.6816
    if number % 4 == 0:
        yield fleet_service_pb2.FleetRecord(site=site)
    device = site_pb2.Device(
        name=f"devices/camera-{number}",
        site=site.name,
        address=address,
        view=site_pb2.Device.VIEW_OBSERVATION,
        mobility=site_pb2.Device.MOBILITY_FIXED,
        legal_basis=site_pb2.LegalBasis(
            purpose=site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY, dpia_reference="dpia", sign_reference="sign"
        ),
    )
    yield fleet_service_pb2.FleetRecord(device=device)
    for lens in range(1, optics + 1):
        optic = site_pb2.Optic(
            name=f"{device.name}/optics/optic-{lens}",
            ingest=site_pb2.Optic.INGEST_RTSP,
            main_stream_path=STREAM if optics == 1 else f"{STREAM}/{lens}",
            policy=rules,
        )
        yield fleet_service_pb2.FleetRecord(optic=optic)
