"""Searches for matches to a testimony in a week of the full fleet; ingest beside bare COPY; a day dropped."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import prometheus_client
import psutil
import pydantic

from alerting import migrations
from alerting.approvals import ApprovalDesk
from alerting.domain.observations import Observation
from alerting.domain.search.width import Limits
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.search_desk import Rules, SearchDesk, Sources
from alerting.search_records import SearchRecords
from alerting.store.approvals import ApprovalStore
from alerting.store.coverage import CoverageStore
from alerting.store.database import Database
from alerting.store.observation_erasure import ObservationErasure
from alerting.store.observations import COLUMNS, MOST_GATHERED, QUERIES, ObservationStore
from alerting.store.searches import SearchStore
from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest
from bench import search_world as world
from bench.results import Result
from mesh.audit import AuditLog
from mesh.embedded import EmbeddedPostgres
from mesh.errors import FailedPrecondition
from mesh.postgres import Pool, open_pool

ROWS: Final = 10_000_000
P95_BOUND_SECONDS: Final = 1.0
INGEST_BOUND: Final = 0.5
DROP_BOUND_SECONDS: Final = 1.0
_SEARCHES: Final = 40
_WARM_UP: Final = 2
_INGESTED: Final = 50_000
_ROUNDS: Final = 5
_WEEK: Final = timedelta(days=7)


def measure(rows: int = ROWS) -> list[Result]:
    """All figures on one embedded server."""
    print(f"bench: {rows} observations of a week, {os.cpu_count()} cores, load {_load()}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), rows))


async def _measure(folder: Path, rows: int) -> list[Result]:
    async with EmbeddedPostgres(folder / "postgres") as server:
        dsn = pydantic.SecretStr(await server.ensure_service("alerting"))
        async with open_pool(dsn, schema="alerting", command_timeout=3600) as pool:
            for phase in ("pre", "post"):
                await migrations.migrate(pool, phase)
            now = datetime.now(UTC)
            started = time.perf_counter()
            await world.fill(pool, rows, now)
            await _settle(server)
            print(f"bench: filled in {time.perf_counter() - started:.0f} s, load {_load()}", file=sys.stderr)
            results = [
                *await _ingest(pool, server, now),
                *await _searches(pool, server, now),
                await _drop(pool, server, now),
            ]
            print(f"bench: load at the end {_load()}", file=sys.stderr)
            return results


async def _settle(server: EmbeddedPostgres) -> None:
    """A week's writing in minutes is not left to be flushed while something else is measured."""
    connection = await asyncpg.connect(server.dsn)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _ingest(pool: Pool, server: EmbeddedPostgres, now: datetime) -> list[Result]:
    """Ours, in transactions as the consumer gathers them, and one COPY of the same rows, in turns."""
    store = ObservationStore(Database(pool))
    await store.know_observers(set(world.OPTICS))
    await pool.execute("CREATE TABLE bare (LIKE observation_days)")
    ours, bares = [], []
    for number in range(_ROUNDS):
        observations = list(world.observations(number, _INGESTED, now))
        rows = [store.row(item) for item in observations]

        async def copy(records: list[tuple[Any, ...]] = rows) -> None:
            async with pool.acquire() as connection:
                await connection.copy_records_to_table("bare", records=records, columns=COLUMNS)

        async def write(values: list[Observation] = observations) -> None:
            for first in range(0, _INGESTED, MOST_GATHERED):
                await store.write(values[first : first + MOST_GATHERED], now)

        bares.append(await _timed(copy, server))
        ours.append(await _timed(write, server))
    await pool.execute("DROP TABLE bare")
    wall = statistics.median(bare[0] / own[0] for own, bare in zip(ours, bares, strict=True))
    processor = statistics.median(bare[1] / own[1] for own, bare in zip(ours, bares, strict=True))
    own, bare = (_INGESTED / statistics.median(seconds for seconds, _ in turns) for turns in (ours, bares))
    return [
        Result(
            f"ingest of observations, rows/s, median of {_ROUNDS} turns",
            f"{own:.0f}",
            f"{bare:.0f}: one bare COPY of the same rows into a table without index",
            wall,
            f">= {INGEST_BOUND:g}",
            wall >= INGEST_BOUND,
        ),
        Result("the same by processor time of client and server", "", "", processor),
    ]


async def _timed(work: Callable[[], Awaitable[None]], server: EmbeddedPostgres) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, client and server together."""
    started, used = time.perf_counter(), _processor_seconds(server)
    await work()
    return time.perf_counter() - started, _processor_seconds(server) - used


def _processor_seconds(server: EmbeddedPostgres) -> float:
    processes = [psutil.Process(), *psutil.Process(server.pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def _searches(pool: Pool, server: EmbeddedPostgres, now: datetime) -> list[Result]:
    desk, chance = _desk(pool), random.Random(7)
    results: list[Result] = []
    everything: list[tuple[float, float]] = []
    for name, make in world.TESTIMONIES.items():
        took, found, wide = [], [], 0
        for number in range(_WARM_UP + _SEARCHES):
            request = make(chance, now)

            async def search(asked: SearchObservationsRequest = request) -> None:
                answer = await desk.search(asked, "investigator/verdi")
                found.append(answer.total_size)  # noqa: B023 - within this turn of the loop

            try:
                turn = await _timed(search, server)
            except FailedPrecondition:
                wide += 1
                continue
            if number >= _WARM_UP:
                took.append(turn)
        everything += took
        results.append(_shown(f"search: {name}", took, f"{statistics.median(found):.0f} found in the median", wide))
    return [*results, _shown("a typical search, all kinds", everything, "", 0)]


def _shown(name: str, took: list[tuple[float, float]], found: str, wide: int) -> Result:
    wall, processor = ([turn[index] for turn in took] for index in (0, 1))
    p95 = _quantile(wall, 0.95)
    by_processor = f"processor p50 {_quantile(processor, 0.5):.3f} s, p95 {_quantile(processor, 0.95):.3f} s"
    said = [by_processor, *([found] if found else []), *([f"{wide} too wide"] if wide else [])]
    return Result(
        name,
        f"p50 {_quantile(wall, 0.5):.3f} s, p95 {p95:.3f} s",
        "; ".join(said),
        None,
        f"< {P95_BOUND_SECONDS:g} s",
        p95 < P95_BOUND_SECONDS,
    )


def _desk(pool: Pool) -> SearchDesk:
    database, log = Database(pool), AuditLog(pool)
    metrics = Metrics(prometheus_client.CollectorRegistry())
    approvals = ApprovalDesk(ApprovalStore(database), Records(log), lambda: datetime.now(UTC))
    sources = Sources(SearchStore(database), CoverageStore(database), world.read_atlas, approvals)
    rules = Rules(Limits(100.0, 1000, 50_000), searches=10_000, kept=timedelta(hours=1))
    return SearchDesk(sources, SearchRecords(log), rules, metrics, lambda: datetime.now(UTC))


async def _drop(pool: Pool, server: EmbeddedPostgres, now: datetime) -> Result:
    """The first whole day, when its time has come; on record."""
    erasure = ObservationErasure(Database(pool), Records(AuditLog(pool)).erasure)
    days = [row["day"] for row in await pool.fetch(QUERIES["list_days"])]
    first = datetime.combine(days[1], datetime.min.time(), UTC)
    # The day before is not a whole one.
    await erasure.erase(first + _WEEK, now)
    erased: list[int] = []

    async def drop() -> None:
        erased.append(await erasure.erase(first + _WEEK + timedelta(days=1), now))

    seconds, processor = await _timed(drop, server)
    return Result(
        f"a day of {erased[0]} observations counted, dropped and on record",
        f"{seconds:.3f} s",
        f"processor {processor:.3f} s",
        None,
        f"< {DROP_BOUND_SECONDS:g} s",
        seconds < DROP_BOUND_SECONDS and erased[0] > 0,
    )


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _load() -> str:
    return "/".join(f"{value:.1f}" for value in os.getloadavg())


def main() -> int:
    """``python -m bench.search``; the exit status is 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="observations of the week")
    results = measure(parser.parse_args().rows)
    for result in results:
        print(" | ".join(result.cells()))
    return 0 if all(result.holds is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
