"""Real parts for the registry's tests: PostgreSQL, the registry over loopback mTLS, and a lawful fleet."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import asyncpg
import grpc
import prometheus_client
import pydantic
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from argo.registry.v1 import (
    admission_pb2,
    lease_service_pb2,
    lease_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
)
from mesh import postgres
from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool
from mesh.rpc.server import GrpcServer
from mesh.testing import calling, serving, settings_of
from registry import sql
from registry.assembly import assemble
from registry.domain.network import CameraNetworks
from registry.leases import LeaseDesk
from registry.settings import RegistrySettings
from registry.sweep import Sweep
from registry.watching import OpticWatch
from tests.unit.registry.lawful import device, optic, site

pb = registry_service_pb2
Request = lease_service_pb2.HoldLeasesRequest
NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00:a::/32")))
LEASE = timedelta(seconds=2)
REASON = "delibera 12/2026"


_TEMPLATE = "migrated_registry"
_MEMORY = Path("/dev/shm")
_MEMORY_NEEDED = 2 << 30


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is room: each database is 300 files, and most of a test was making those."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED
    with tempfile.TemporaryDirectory(dir=_MEMORY if roomy else None) as folder:
        yield Path(folder)


async def fresh_database(server: EmbeddedPostgres) -> str:
    """A migrated database of its own for one test: a copy, for that takes a fraction of what migrating does."""
    async with _connection(server) as connection:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", _TEMPLATE):
            await connection.execute(f'CREATE DATABASE "{_TEMPLATE}"')
            async with migrated_pool(_dsn_of(server, _TEMPLATE)):
                pass
        return await _create(connection, server, f'TEMPLATE "{_TEMPLATE}" STRATEGY FILE_COPY')


async def empty_database(server: EmbeddedPostgres) -> str:
    """A database of its own for a test of migrations."""
    async with _connection(server) as connection:
        return await _create(connection, server)


async def drop_database(server: EmbeddedPostgres, dsn: str) -> None:
    """Drops a database, whoever is still connected to it."""
    async with _connection(server) as connection:
        await connection.execute(f'DROP DATABASE "{dsn.rpartition("/")[2]}" WITH (FORCE)')


@contextlib.asynccontextmanager
async def _connection(server: EmbeddedPostgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(server.dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _create(connection: Any, server: EmbeddedPostgres, options: str = "") -> str:
    name = f"test_{uuid.uuid4().hex}"
    await connection.execute(f'CREATE DATABASE "{name}" {options}')
    return _dsn_of(server, name)


def _dsn_of(server: EmbeddedPostgres, database: str) -> str:
    return server.dsn.rpartition("/")[0] + "/" + database


@contextlib.asynccontextmanager
async def migrated_pool(dsn: str) -> AsyncIterator[Pool]:
    async with postgres.open_pool(pydantic.SecretStr(dsn), schema="registry", max_size=6) as pool:
        await sql.migrate(pool, "pre")
        await sql.migrate(pool, "post")
        yield pool


@dataclass
class Clock:
    """A clock that only tests move."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Registry:
    """A registry in this process, with all its parts."""

    server: GrpcServer
    authority: CertificateAuthority
    pool: Pool
    sweep: Sweep
    desk: LeaseDesk
    watch: OpticWatch
    clock: Clock
    services: Sequence[str]
    metrics: prometheus_client.CollectorRegistry

    @contextlib.asynccontextmanager
    async def channel(self, identity: str) -> AsyncIterator[grpc.aio.Channel]:
        async with calling(
            self.server, self.authority, identity, peer="service/registry", settings_type=TestSettings
        ) as channel:
            yield channel


class TestSettings(RegistrySettings):
    """Defaults for what the tests do not look at."""

    __test__ = False
    postgres_dsn: pydantic.SecretStr = pydantic.SecretStr("")
    camera_networks: Any = NETWORKS.networks
    lease_seconds: float = LEASE.total_seconds()
    sweep_seconds: float = 0.2
    watch_buffer: int = 64
    bookmark_seconds: float = 0.3
    resume_changes: int = 1000


@contextlib.asynccontextmanager
async def running_registry(
    dsn: str, folder: Path, *, clock: Clock | None = None, networks: CameraNetworks = NETWORKS, **changes: Any
) -> AsyncIterator[Registry]:
    """Assembled as in ``registry.__main__``, with the test's clock, short leases and a quick sweep."""
    authority = CertificateAuthority(folder / "authority")
    clock = clock or Clock()
    # As a copy they may also be what a real registry would refuse, a buffer of one for example.
    settings = settings_of(authority, "service/registry", TestSettings).model_copy(
        update={"camera_networks": networks.networks, "camera_host_names": networks.host_names_allowed} | changes
    )
    metrics = prometheus_client.CollectorRegistry()
    async with migrated_pool(dsn) as pool:
        parts = assemble(pool, settings, metrics, clock=clock, monotonic=time.monotonic)
        await parts.sweep.once()
        async with serving(settings, parts.serve) as server:
            tasks = [asyncio.create_task(parts.sweep.run()), asyncio.create_task(parts.sweep.listen())]
            try:
                services = [each.full_name for each in parts.services]
                yield Registry(server, authority, pool, parts.sweep, parts.desk, parts.watch, clock, services, metrics)
            finally:
                await parts.watch.drain()
                await parts.desk.drain()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


class Administrator:
    """Calls the registry's methods with keyword arguments; says why where a method asks for it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            request_type = getattr(pb, f"{method}Request")
            if "reason" in request_type.DESCRIPTOR.fields_by_name:
                arguments.setdefault("reason", REASON)
            return getattr(self._stub, method)(request_type(**arguments))

        return call

    async def build(self, *, devices: int = 1, first: int = 12, optics: tuple[str, ...] = ("nord",)) -> list[str]:
        """A site with fixed devices of the given optics; answers the names of the devices."""
        if first == 12:
            await self.CreateSite(site_id="alimonda", site=site())
        names = []
        for number in range(first, first + devices):
            created = await self.CreateDevice(device_id=f"palo-{number}", device=device(address=f"10.0.0.{number}"))
            names.append(created.name)
            for optic_id in optics:
                await self.CreateOptic(parent=created.name, optic_id=optic_id, optic=optic())
        return names


# ---- errors --------------------------------------------------------------------------------------------------------


@dataclass
class Refusal:
    """What a refused call said."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    message: str


def explain(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        detail.Unpack(info)
        detail.Unpack(request)
    fields = [violation.field for violation in request.field_violations]
    return Refusal(error.code(), info.reason, dict(info.metadata), fields, error.details() or "")


async def refusal_of(call: Any) -> Refusal:
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return explain(error)
    raise AssertionError(f"it was not refused, but answered {answer}")


# ---- gateways ------------------------------------------------------------------------------------------------------


class Gateway:
    """The other end of HoldLeases: a replica that obeys, and remembers what it was told."""

    def __init__(self, channel: grpc.aio.Channel, replica: str, capacity: int = 100) -> None:
        stub: Any = lease_service_pb2_grpc.LeaseServiceStub(channel)
        self._call = stub.HoldLeases()
        self._replica, self._capacity = replica, capacity
        self.held: dict[str, lease_service_pb2.DeviceLease] = {}
        self.withdrawals: list[tuple[str, list[str]]] = []
        self.told: list[Any] = []
        self.renewals: list[lease_service_pb2.HoldLeasesResponse.Renewal] = []
        self.error: Refusal | None = None
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._call.write(Request(announce=Request.Announce(replica=self._replica, capacity=self._capacity)))
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]
        return self

    async def __aexit__(self, *_problem: object) -> None:
        self.silence()
        self._call.cancel()
        self._tasks[0].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self) -> None:
        """No more heartbeats, as if the process were dead but its connection not."""
        self._tasks[1].cancel()

    async def release(self, name: str) -> None:
        self.held.pop(name, None)
        await self._call.write(Request(release=Request.Release(device=name)))

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self._take(response)
                self._news.set()
        except grpc.aio.AioRpcError as error:
            self.error = explain(error)
            self._news.set()

    def _take(self, response: Any) -> None:
        self.told.append(response)
        kind = response.WhichOneof("message")
        if kind == "lease":
            self.held[response.lease.device] = response.lease
        elif kind == "withdrawal":
            self.held.pop(response.withdrawal.device, None)
            reasons = [reason_name(refusal.reason) for refusal in response.withdrawal.reasons]
            self.withdrawals.append((response.withdrawal.device, reasons))
        else:
            self.renewals.append(response.renewal)

    async def _beat(self) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await asyncio.sleep(LEASE.total_seconds() / 4)
                await self._call.write(Request(heartbeat=Request.Heartbeat(devices=sorted(self.held))))


def reason_name(value: Any) -> str:
    return admission_pb2.Refusal.Reason.Name(value).removeprefix("REASON_")
