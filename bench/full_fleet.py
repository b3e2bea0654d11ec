"""A registry with the full-size fleet: an embedded PostgreSQL, and replicas of the registry as processes."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from argo.registry.v1 import fleet_service_pb2, fleet_service_pb2_grpc
from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.rpc.channel import open_channel
from mesh.settings import ServiceSettings
from mesh.testing import environment_of, settings_of
from registry.domain.network import CameraNetworks
from registry.onboarding.turin import turin_fleet

ROOT = Path(__file__).parents[1]
LEASE_SECONDS = 10.0
NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00:a::/32")))
_START_SECONDS = 60.0


@dataclass(frozen=True)
class FullFleet:
    """The running registry.

    Attributes:
        authority: signs the identities of those who call.
        dsn: of the database.
        addresses: of the replicas of the registry.
        optics: how many there are.
    """

    authority: CertificateAuthority
    dsn: str
    addresses: Sequence[str]
    optics: int
    _settings: dict[str, ServiceSettings] = field(default_factory=dict, repr=False)

    @contextlib.asynccontextmanager
    async def channel(self, identity: str, replica: int = 0) -> AsyncIterator[grpc.aio.Channel]:
        """A channel of its own connection to a replica of the registry."""
        if identity not in self._settings:
            self._settings[identity] = settings_of(self.authority, identity, ServiceSettings)
        async with open_channel(self.addresses[replica], self._settings[identity], peer="service/registry") as channel:
            yield channel


@contextlib.asynccontextmanager
async def full_fleet(folder: Path, *, replicas: int) -> AsyncIterator[FullFleet]:
    """Starts PostgreSQL and the registry in ``folder`` and imports the fleet."""
    authority = CertificateAuthority(folder / "authority")
    async with EmbeddedPostgres(folder / "postgres") as postgres, contextlib.AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(_registry(authority, postgres.dsn)) for _ in range(replicas)]
        fleet = turin_fleet(now=datetime.now(UTC))
        optics = sum(record.WhichOneof("record") == "optic" for record in fleet)
        running = FullFleet(authority, postgres.dsn, addresses, optics)
        await _import(running, fleet)
        yield running


@contextlib.asynccontextmanager
async def _registry(authority: CertificateAuthority, dsn: str) -> AsyncIterator[str]:
    environment = environment_of(
        authority,
        "service/registry",
        postgres_dsn=dsn,
        camera_networks=",".join(map(str, NETWORKS.networks)),
        lease_seconds=str(LEASE_SECONDS),
        migrate_on_start="true",
        grpc_listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
    )
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry", env=environment, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield await _address(process)
    finally:
        process.terminate()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where the process listens; what it logs after that is read and dropped."""
    output = process.stdout
    assert output is not None  # it was asked for
    async with asyncio.timeout(_START_SECONDS):
        while line := await output.readline():
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == "service.ready":
                asyncio.get_running_loop().create_task(_drop(output), name="drop-log")
                return str(entry["grpc"])
    raise SystemExit("bench: the registry did not start")


async def _drop(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass


async def _import(fleet: FullFleet, records: Sequence[fleet_service_pb2.FleetRecord]) -> None:
    request = fleet_service_pb2.ImportFleetRequest(reason="benchmark")
    for number, record in enumerate(records):
        request.rows.add(source=f"record {number}", record=record)
    async with fleet.channel("administrator/bench") as channel:
        answer = await fleet_service_pb2_grpc.FleetServiceStub(channel).ImportFleet(request, timeout=120)
    if answer.problems:
        raise SystemExit(f"bench: the fleet was refused: {answer.problems[0]}")
