"""Counts: what keeping one report costs beside a bare insert, and how long a day of one site takes to read."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydantic

from alerting import migrations
from alerting.domain.flows.cells import Key
from alerting.domain.flows.reports import Counted, FlowReport
from alerting.store.cells import CellStore, Grid
from alerting.store.database import Database
from alerting.store.flows import FlowStore
from bench.results import Result
from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool, open_pool

REPORTS = 1500
"""Kept one by one, as they come from the bus."""
SITES = 20
"""With a day of counts each, so that the one that is read is among others."""
OPTICS, PLACES = 4, 4
LEAST_SHARE = 0.4
LONGEST_PAGE_SECONDS = 1.0
_WARM_UP = 100
_DAY = datetime(2026, 6, 3, tzinfo=UTC)
_BARE_TABLE = """
CREATE TABLE bare (
    optic text, place text, object_class smallint, minute timestamptz, left_to_right integer, right_to_left integer,
    measured integer, speed_sum float8, present_seconds float8, maximum_present integer, density_seconds float8,
    maximum_density float8, expire_time timestamptz, PRIMARY KEY (place, minute, object_class)
)
"""
_BARE_INSERT = """
INSERT INTO bare SELECT * FROM unnest(
    $1::text[], $2::text[], $3::smallint[], $4::timestamptz[], $5::integer[], $6::integer[], $7::integer[],
    $8::float8[],
    $9::float8[], $10::integer[], $11::float8[], $12::float8[], $13::timestamptz[]
)
"""
_COLUMNS = (
    "optic", "place", "object_class", "minute", "left_to_right", "right_to_left", "measured", "speed_sum",
    "present_seconds", "maximum_present", "density_seconds", "maximum_density", "expire_time",
)  # fmt: skip


def measure(reports: int = REPORTS) -> list[Result]:
    """Both figures on one embedded server, with every commit on the disk before it is answered."""
    print(f"bench: counts, {reports} reports one by one, then a day of {SITES} sites", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), reports))


async def _measure(folder: Path, reports: int) -> list[Result]:
    async with EmbeddedPostgres(folder / "postgres") as server:
        dsn = pydantic.SecretStr(await server.ensure_service("alerting"))
        async with open_pool(dsn, schema="alerting", command_timeout=600) as pool:
            await migrations.migrate(pool, "pre")
            await migrations.migrate(pool, "post")
            return [await _ingest(pool, reports), await _day_of_a_site(pool)]


async def _ingest(pool: Pool, reports: int) -> Result:
    await pool.execute(_BARE_TABLE)
    store = FlowStore(Database(pool))
    bare_seconds, kept_seconds = [], []
    # In turns, so that whatever else the machine does falls on both alike.
    for number in range(_WARM_UP + reports):
        report = _report(number)
        rows = [list(column) for column in zip(*_bare_rows(report, number), strict=True)]
        bare = await _timed(lambda rows=rows: pool.execute(_BARE_INSERT, *rows))  # type: ignore[misc]
        kept = await _timed(lambda report=report: store.write_report(report))  # type: ignore[misc]
        if number >= _WARM_UP:
            bare_seconds.append(bare)
            kept_seconds.append(kept)
    return Result.at_least(
        "reports of counts kept, median",
        (1.0 / statistics.median(kept_seconds), "reports/s"),
        (1.0 / statistics.median(bare_seconds), "reports/s: a bare durable INSERT of the same rows"),
        LEAST_SHARE,
    )


def _report(number: int) -> FlowReport:
    """Ten seconds of one of a hundred optics: four lines with two classes, two zones."""
    optic = f"devices/d{number % 100}/optics/o"
    start = _DAY - timedelta(days=1) + number // 100 * timedelta(seconds=10)
    lines = [
        Counted(f"{optic}/lines/l{line}", kind, left_to_right=3, right_to_left=2, measured=4, speed_sum=6.1)
        for line in range(4)
        for kind in (1, 3)
    ]
    zones = [Counted(f"{optic}/zones/z{zone}", 1, present_seconds=73.0, maximum_present=9) for zone in range(2)]
    return FlowReport(optic, "sites/s", start, 10.0, 5.0, start + timedelta(days=7), (*lines, *zones))


def _bare_rows(report: FlowReport, number: int) -> Iterator[tuple[object, ...]]:
    for item in report.counted:
        yield (
            report.optic, f"{item.place}-{number}", item.object_class, report.minute, item.left_to_right,
            item.right_to_left, item.measured, item.speed_sum, item.present_seconds, item.maximum_present, 0.0, 0.0,
            report.expire_time,
        )  # fmt: skip


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def _day_of_a_site(pool: Pool) -> Result:
    await _fill(pool)
    store = CellStore(Database(pool))
    targets = await store.targets((), ("sites/s7",), everywhere=True)
    which = Grid(_DAY, _DAY + timedelta(days=1), timedelta(minutes=5))
    pages, cells = [], 0
    for _ in range(3):
        after: Key | None = None
        while True:
            started = time.perf_counter()
            page = await store.list_cells(targets, which, after, 1000)
            pages.append(time.perf_counter() - started)
            cells += len(page)
            if len(page) < 1000:
                break
            after = page[-1].key
    p95 = statistics.quantiles(pages, n=20)[-1]
    return Result(
        what=f"a day of one site by five minutes: {cells // 3} flows in pages of 1000",
        measured=f"{p95 * 1e3:.0f} ms p95 of a page, {sum(pages) / 3:.2f} s the whole day",
        bound=f"< {LONGEST_PAGE_SECONDS * 1e3:g} ms p95 of a page",
        holds=p95 < LONGEST_PAGE_SECONDS,
    )


async def _fill(pool: Pool) -> None:
    """A day of counts at every site: each optic has two lines and two zones, and two classes at each."""
    for site in range(SITES):
        places = [
            (f"devices/s{site}-d{optic}/optics/o", kind, item)
            for optic in range(OPTICS)
            for kind, item in (("lines", 0), ("lines", 1), ("zones", 0), ("zones", 1))[:PLACES]
        ]
        await pool.copy_records_to_table(
            "flow_places",
            records=[(f"{optic}/{kind}/p{item}", optic, f"sites/s{site}", True) for optic, kind, item in places],
            columns=["place", "optic", "site", "registered"],
        )
        await pool.copy_records_to_table(
            "flow_coverage",
            records=[
                (optic, _DAY + minute * timedelta(minutes=1), 59.0, 30.0, _DAY + timedelta(days=8))
                for optic in {optic for optic, _, _ in places}
                for minute in range(1440)
            ],
            columns=["optic", "minute", "analysed_seconds", "light_seconds", "expire_time"],
        )
        await pool.copy_records_to_table("flow_minutes", records=_minutes(places), columns=list(_COLUMNS))
    await pool.execute("ANALYZE")


def _minutes(places: list[tuple[str, str, int]]) -> Iterator[tuple[Any, ...]]:
    for optic, kind, item in places:
        for minute in range(1440):
            for object_class in (1, 3):
                yield (
                    optic, f"{optic}/{kind}/p{item}", object_class, _DAY + minute * timedelta(minutes=1), 3, 2, 4, 6.1,
                    50.0, 7, 0.4, 0.1, _DAY + timedelta(days=8),
                )  # fmt: skip


def main() -> int:
    """``python -m bench.flows``; the exit status is 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="bench.flows", description=__doc__)
    parser.add_argument("--reports", type=int, default=REPORTS, help="to keep")
    results = measure(parser.parse_args().reports)
    for result in results:
        print(" | ".join(result.cells()))
    return 0 if all(result.holds is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
