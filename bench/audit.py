"""The audit log: what one entry costs, and how long a large log takes to verify."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pydantic

from bench.results import Result
from mesh import audit
from mesh.audit import Act, AuditEntry, AuditLog
from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool, open_pool

ENTRIES = 1_000_000
COST_BOUND = 1.5
VERIFY_BOUND_SECONDS = 60.0
_ROUNDS = 1500
_WARM_UP = 50
_ENTRY = AuditEntry(
    act=Act.DISCLOSURE,
    who="operator/mrossi",
    why="rapina in via Po, richiesta del 22 novembre",
    what="devices/d1/optics/o1?from=2026-11-22T10:00:00Z&to=2026-11-22T10:05:00Z",
    to_whom="authority/questura-torino",
    case="RGNR 1234/2026",
)
_BARE_TABLE = """
CREATE TABLE bare (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now(),
    act text, who text, why text, what text, to_whom text, case_reference text, previous_hash bytea, hash bytea
)
"""
_BARE_INSERT = """
INSERT INTO bare (act, who, why, what, to_whom, case_reference, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_FILL = """
SELECT count(append_audit_entry('consultation', 'operator/n' || (i % 90), 'ricerca ' || i, 'alerts/a' || i, '', ''))
FROM generate_series(1, $1) AS i
"""


def measure(entries: int = ENTRIES) -> list[Result]:
    """Both figures on one embedded server, with every commit on the disk before it is answered."""
    print(f"bench: the audit log, {_ROUNDS} entries one by one, then {entries} to verify", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), entries))


async def _measure(folder: Path, entries: int) -> list[Result]:
    async with EmbeddedPostgres(folder / "postgres") as server:
        dsn = pydantic.SecretStr(await server.ensure_service("alerting"))
        await audit.protect(server.dsn, schema="alerting", service="alerting")
        async with open_pool(dsn, schema="alerting", command_timeout=900) as pool:
            return [await _cost(pool), await _verification(pool, entries)]


async def _cost(pool: Pool) -> Result:
    await pool.execute(_BARE_TABLE)
    log = AuditLog(pool)
    digest = bytes(32)
    texts = (_ENTRY.act.value, _ENTRY.who, _ENTRY.why, _ENTRY.what, _ENTRY.to_whom, _ENTRY.case)
    bare_seconds, entry_seconds = [], []
    # In turns, so that whatever else the machine does falls on both alike.
    for number in range(_WARM_UP + _ROUNDS):
        bare = await _timed(lambda: pool.execute(_BARE_INSERT, *texts, digest, digest))
        entry = await _timed(lambda: log.append(_ENTRY))
        if number >= _WARM_UP:
            bare_seconds.append(bare)
            entry_seconds.append(entry)
    return Result.at_most(
        "one audit entry, median",
        (statistics.median(entry_seconds) * 1e6, "us"),
        (statistics.median(bare_seconds) * 1e6, "us: a bare durable INSERT"),
        COST_BOUND,
    )


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def _verification(pool: Pool, entries: int) -> Result:
    await pool.execute(_FILL, entries)
    started = time.perf_counter()
    examination = await AuditLog(pool).examine()
    seconds = time.perf_counter() - started
    if examination.finding is not None:
        raise RuntimeError(f"the chain that was just written is not whole: {examination.finding}")
    per_million = seconds / examination.head.sequence * ENTRIES
    return Result(
        what=f"verification of {examination.head.sequence} audit entries",
        measured=f"{seconds:.1f} s, {per_million:.1f} s for a million",
        bound=f"< {VERIFY_BOUND_SECONDS:g} s for a million",
        holds=per_million < VERIFY_BOUND_SECONDS,
    )


def main() -> int:
    """``python -m bench.audit``; the exit status is 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="bench.audit", description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="to verify")
    results = measure(parser.parse_args().entries)
    for result in results:
        print(" | ".join(result.cells()))
    return 0 if all(result.holds is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
