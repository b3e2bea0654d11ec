"""Reads of the registry at full size, beside the very statements that they run, sent bare through asyncpg."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import grpc

from argo.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from bench.full_fleet import NETWORKS, FullFleet, full_fleet
from bench.results import Result
from mesh.audit import AuditLog
from mesh.identity import Identity, acting_as
from registry import admissions
from registry.auditing import ReadLog
from registry.fleet import Fleet
from registry.scenes import SceneStore
from registry.service import RegistryServicer
from registry.sql import QUERIES
from registry.store import RecordStore
from registry.watching import OpticWatch

RATIO_BOUND = 2.5
FILTER = "ingest = INGEST_RTSP AND policy.retention >= 3600s"
_LISTS, _WATCHES, _ADMISSIONS = 300, 30, 60
_WARM_UP = 10
_READER = "operator/bench"

T = TypeVar("T")
Statement = tuple[str, tuple[Any, ...]]


class Recorder:
    """A connection, as the registry uses it, that writes down what it is asked.

    Attributes:
        statements: in their order, with BEGIN and COMMIT.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Passes everything on to ``connection``."""
        self._connection = connection
        self.statements: list[Statement] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """``fetch``, ``fetchrow``, ``fetchval`` or ``execute``."""

        async def ask(query: str, *arguments: Any) -> Any:
            self.statements.append((query, arguments))
            return await getattr(self._connection, name)(query, *arguments)

        return ask

    @contextlib.asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[None]:
        """As of asyncpg."""
        self.statements.append(("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if options else "BEGIN", ()))
        async with self._connection.transaction(**options):
            yield
        self.statements.append(("COMMIT", ()))

    @contextlib.asynccontextmanager
    async def acquire(self, **_options: Any) -> AsyncIterator[Recorder]:
        """As of a pool of one connection, for one that waits for its turn."""
        yield self


def measure() -> list[Result]:
    """All figures, on one fleet."""
    print("bench: reads of the registry with the full fleet", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> list[Result]:
    async with full_fleet(folder, replicas=1) as fleet, fleet.channel(_READER) as channel:
        connection = await asyncpg.connect(fleet.dsn, server_settings={"search_path": "registry"})
        try:
            return [
                await _list(channel, connection),
                await _watch(fleet, channel, connection),
                await _admission(fleet, connection),
            ]
        finally:
            await connection.close()


async def _list(channel: grpc.aio.Channel, connection: asyncpg.Connection) -> Result:
    stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
    request = registry_service_pb2.ListOpticsRequest(parent="devices/-", page_size=50, filter=FILTER)
    statements = await _statements_of_list(connection, request)

    async def through_registry() -> None:
        answer = await stub.ListOptics(request)
        if len(answer.optics) != request.page_size:
            raise SystemExit(f"bench: {len(answer.optics)} optics came instead of {request.page_size}")

    return await _compare(
        "list of 50 optics with a filter", through_registry, lambda: _replay(connection, statements), _LISTS
    )


async def _statements_of_list(
    connection: asyncpg.Connection, request: registry_service_pb2.ListOpticsRequest
) -> list[Statement]:
    """What the registry asks PostgreSQL for this list; the key of page tokens it knows from the first time on."""
    recorder: Any = Recorder(connection)
    audit = AuditLog(recorder)
    store, reads = RecordStore(recorder, audit), _OnRecord(recorder, audit)
    watch = OpticWatch(recorder, Fleet(), buffer=16, bookmark_seconds=1, resume_changes=1)
    servicer: Any = RegistryServicer(
        store, SceneStore(recorder, store), reads, watch, NETWORKS, lambda: datetime.now(UTC)
    )
    await store.page_secret()
    recorder.statements.clear()
    # One connection serves one question at a time, so the read goes on record first.
    with acting_as(Identity("argo.local", _READER)):
        await reads.record("ListOptics", "devices/-/optics")
        page: Any = registry_service_pb2.ListOpticsRequest()
        page.CopyFrom(request)
        await servicer.ListOptics(page, None)
    return list(recorder.statements)


class _OnRecord(ReadLog):
    """For a read that is on record already."""

    async def answer(self, _method: str, _what: str, reading: Coroutine[Any, Any, T]) -> T:
        """See ReadLog.answer."""
        return await reading


async def _watch(fleet: FullFleet, channel: grpc.aio.Channel, connection: asyncpg.Connection) -> Result:
    stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
    recorder = Recorder(connection)
    await Fleet().refresh(recorder)

    async def through_registry() -> None:
        optics, watch = 0, stub.WatchOptics(registry_service_pb2.WatchOpticsRequest(batched=True))
        async for response in watch:
            if response.HasField("bookmark"):
                break
            optics += len(response.batch.updated)
        watch.cancel()
        if optics != fleet.optics:
            raise SystemExit(f"bench: the snapshot held {optics} of {fleet.optics} optics")

    return await _compare(
        f"watch snapshot of {fleet.optics} optics",
        through_registry,
        lambda: _replay(connection, recorder.statements),
        _WATCHES,
    )


async def _admission(fleet: FullFleet, connection: asyncpg.Connection) -> Result:
    devices = [row["name"] for row in await connection.fetch(QUERIES["all_devices"])]

    async def decide() -> None:
        gates = admissions.gates(await connection.fetch(QUERIES["gate_of_devices"], devices))
        now = datetime.now(UTC)
        for gate in gates.values():
            gate.decide(now, NETWORKS)

    async def bare() -> None:
        await connection.fetch(QUERIES["gate_of_devices"], devices)

    return await _compare(f"admission of all {fleet.optics} optics", decide, bare, _ADMISSIONS)


async def _replay(connection: asyncpg.Connection, statements: list[Statement]) -> None:
    for query, arguments in statements:
        await connection.fetch(query, *arguments)


async def _compare(
    what: str, product: Callable[[], Awaitable[None]], bare: Callable[[], Awaitable[None]], rounds: int
) -> Result:
    """Medians of both, in turns, so that whatever else the machine does falls on both alike."""
    product_seconds: list[float] = []
    bare_seconds: list[float] = []
    for number in range(_WARM_UP + rounds):
        for work, seconds in ((product, product_seconds), (bare, bare_seconds)):
            started = time.perf_counter()
            await work()
            if number >= _WARM_UP:
                seconds.append(time.perf_counter() - started)
    return Result.at_most(
        what,
        (statistics.median(product_seconds) * 1e3, "ms"),
        (statistics.median(bare_seconds) * 1e3, "ms, the same SQL through asyncpg"),
        RATIO_BOUND,
    )
