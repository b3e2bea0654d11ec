from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pydantic
import pytest

from mesh import audit
from mesh.audit import GENESIS, Act, AuditEntry, AuditLog
from mesh.errors import InvalidArgument, Unavailable
from mesh.postgres import Pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesh.embedded import EmbeddedPostgres

ENTRY = AuditEntry(
    act=Act.DISCLOSURE,
    who="operator/mrossi",
    why="rapina in via Po, richiesta del 22 novembre",
    what="devices/d1/optics/o1?from=2026-11-22T10:00:00Z&to=2026-11-22T10:05:00Z",
    to_whom="authority/questura-torino",
    case="RGNR 1234/2026",
)


@pytest.fixture
async def pool(postgres: EmbeddedPostgres) -> AsyncIterator[Pool]:
    dsn = pydantic.SecretStr(await postgres.ensure_service("alerting"))
    async with open_pool(dsn, schema="alerting") as pool:
        await audit.migrate(pool, phase="pre")
        yield pool


@pytest.fixture
async def superuser(postgres: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.dsn, server_settings={"search_path": "alerting"})
    # What somebody with every right on the database can do: switch the guards off.
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def test_every_act_is_chained_to_the_one_before(pool: Pool) -> None:
    log = AuditLog(pool)
    records = [await log.append(replace(ENTRY, act=act)) for act in Act]

    assert [record.sequence for record in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [record.previous_hash for record in records] == [GENESIS, *(record.hash for record in records[:-1])]
    assert await log.head() == (7, records[-1].hash)
    assert await log.verify() is None


async def test_an_empty_log_is_whole(pool: Pool) -> None:
    assert await AuditLog(pool).head() == (0, GENESIS)
    assert await audit.verify(pool) is None


async def test_writers_at_once_keep_one_chain(pool: Pool) -> None:
    log = AuditLog(pool)
    records = await asyncio.gather(*(log.append(replace(ENTRY, case=str(number))) for number in range(40)))

    assert sorted(record.sequence for record in records) == list(range(1, 41))
    assert await log.verify() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET who = 'operator/altro' WHERE sequence = 3",
        "UPDATE audit_entries SET why = why || ' ' WHERE sequence = 3",
        "UPDATE audit_entries SET act = 'erasure' WHERE sequence = 3",
        "UPDATE audit_entries SET recorded_at = recorded_at + interval '1 microsecond' WHERE sequence = 3",
        "UPDATE audit_entries SET hash = sha256('x') WHERE sequence = 3",
        "DELETE FROM audit_entries WHERE sequence = 3",
    ],
)
async def test_a_change_by_a_superuser_is_found_and_named(
    pool: Pool, superuser: asyncpg.Connection, statement: str
) -> None:
    log = AuditLog(pool)
    for number in range(5):
        await log.append(replace(ENTRY, case=str(number)))
    await superuser.execute(statement)

    assert await log.verify() == 3


async def test_a_cut_of_the_newest_entries_is_found_with_an_anchor(pool: Pool, superuser: asyncpg.Connection) -> None:
    log = AuditLog(pool)
    for number in range(5):
        await log.append(replace(ENTRY, case=str(number)))
    anchor = await log.head()
    await superuser.execute("DELETE FROM audit_entries WHERE sequence > 3")

    assert await log.verify() is None
    assert await log.verify(anchor=anchor) == 4


async def test_a_chain_written_anew_is_found_with_an_anchor(pool: Pool, superuser: asyncpg.Connection) -> None:
    log = AuditLog(pool)
    for number in range(3):
        await log.append(replace(ENTRY, case=str(number)))
    anchor = await log.head()
    await superuser.execute("DELETE FROM audit_entries")
    for number in range(3):
        await log.append(replace(ENTRY, case=f"other {number}"))

    assert await log.verify() is None
    assert await log.verify(anchor=anchor) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET why = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ],
)
async def test_the_service_itself_cannot_change_the_log(pool: Pool, statement: str) -> None:
    await AuditLog(pool).append(ENTRY)

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await pool.execute(statement)

    assert await pool.fetchval("SELECT count(*) FROM audit_entries") == 1


@pytest.mark.parametrize("field", ["who", "why", "what"])
@pytest.mark.parametrize("value", ["", "  "])
async def test_an_act_without_its_reason_is_refused(pool: Pool, field: str, value: str) -> None:
    entry = AuditEntry(**{**vars(ENTRY), field: value})
    with pytest.raises(InvalidArgument) as caught:
        await AuditLog(pool).append(entry)

    assert [violation.field for violation in caught.value.violations] == [field]
    assert await AuditLog(pool).head() == (0, GENESIS)


async def test_without_a_database_the_act_is_refused(pool: Pool, postgres: EmbeddedPostgres) -> None:
    await AuditLog(pool).append(ENTRY)
    postgres.kill()

    with pytest.raises(Unavailable):
        await AuditLog(pool).append(ENTRY)
    with pytest.raises(Unavailable):
        await AuditLog(pool).verify()

    await postgres.start()


async def test_an_act_is_recorded_with_what_it_changes_or_not_at_all(pool: Pool) -> None:
    log = AuditLog(pool)
    await pool.execute("CREATE TABLE clips (name text)")

    async def erase_and_fail() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO clips VALUES ('c')")
            await log.append(replace(ENTRY, act=Act.ERASURE), connection=connection)
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        await erase_and_fail()

    assert await log.head() == (0, GENESIS)
    assert await pool.fetchval("SELECT count(*) FROM clips") == 0
