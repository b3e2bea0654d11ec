"""Who can change the audit log: with a role that keeps it, and where the service owns all that it has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pydantic
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh import audit
from mesh.audit import GENESIS, Act, Anchor, AuditEntry, AuditLog, hash_entry
from mesh.audit.expiry import expire
from mesh.embedded import EmbeddedPostgres
from mesh.errors import StartupError
from mesh.postgres import Pool, migrate, open_pool

ENTRY = AuditEntry(Act.CONSULTATION, "operator/mrossi", "ricerca", "alerts/a1")
SCHEMA = "alerting"
STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")

ATTEMPTS = [
    "UPDATE audit_entries SET why = 'x'",
    "DELETE FROM audit_entries",
    "TRUNCATE audit_entries",
    "INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (sequence) DO UPDATE SET why = 'x'",
]
"""What the service is refused with and without a keeper."""

OWNERS_ATTEMPTS = [
    "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_entries_keep_rows ON audit_entries",
    "ALTER TABLE audit_entries RENAME TO entries",
    "DROP TABLE audit_entries",
    f"DROP SCHEMA {SCHEMA} CASCADE",
    f"ALTER SCHEMA {SCHEMA} RENAME TO other",
    "CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit_entries()",
    f"SET ROLE {SCHEMA}_audit",
    f"GRANT {SCHEMA}_audit TO {SCHEMA}",
    "ALTER FUNCTION refuse_change_of_audit_entries() RENAME TO nothing",
    "SET session_replication_role = replica",
]
"""What an owner could do, and so must not be the service's."""


@asynccontextmanager
async def service_pool(postgres: EmbeddedPostgres) -> AsyncIterator[Pool]:
    """As the service opens it: an ordinary role without CREATEROLE that owns its schema, as CloudNativePG gives it."""
    dsn = pydantic.SecretStr(await postgres.ensure_service(SCHEMA))
    async with open_pool(dsn, schema=SCHEMA) as pool:
        yield pool


@pytest.fixture
async def pool(postgres: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with service_pool(postgres) as pool:
        yield pool


@pytest.fixture
async def protected(postgres: EmbeddedPostgres, pool: Pool) -> Pool:
    await audit.protect(postgres.dsn, schema=SCHEMA, service=SCHEMA)
    return pool


async def test_a_kept_log_is_out_of_the_services_reach(protected: Pool) -> None:
    await AuditLog(protected).append(ENTRY)

    for attempt in [*ATTEMPTS, *OWNERS_ATTEMPTS]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            assert await protected.execute(attempt) == "refused", attempt
    # PostgreSQL only warns that there was nothing to grant.
    await protected.execute(f"GRANT ALL ON audit_entries TO {SCHEMA}")

    assert await audit.powers(protected) == []
    assert await audit.verify(protected) is None
    assert (await AuditLog(protected).head())[0] == 1


@pytest.mark.parametrize("service", ["registry", "alerting"])
async def test_the_service_goes_on_making_tables_of_its_own_beside_a_kept_log(protected: Pool, service: str) -> None:
    await protected.execute("CREATE TABLE clips (name text)")
    await protected.execute("DROP TABLE clips")

    assert await audit.migrate(protected, phase="pre") == []
    assert await migrate(protected, service=service, package=f"{service}.sql", phase="pre") != []
    assert await migrate(protected, service=service, package=f"{service}.sql", phase="post") is not None


async def test_a_log_of_the_services_own_is_defended_by_triggers_and_that_is_said(pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    await AuditLog(pool).append(ENTRY)

    for attempt in ATTEMPTS:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await pool.execute(attempt)
    with structlog.testing.capture_logs() as logs:
        await audit.report(pool)

    assert await pool.fetchval("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert [line["event"] for line in logs] == ["audit.unprotected"]
    assert {"owner of the table", "owner of the schema"} <= set(logs[0]["powers"])


async def test_a_kept_log_gives_no_warning(protected: Pool) -> None:
    with structlog.testing.capture_logs() as logs:
        await audit.report(protected)

    assert logs == []


async def test_without_the_log_of_this_release_it_is_said_what_to_do(pool: Pool) -> None:
    with pytest.raises(StartupError, match="no audit log of this release"):
        await audit.report(pool)
    await _as_release_0_1_0(pool)
    with pytest.raises(StartupError, match="no audit log of this release"):
        await audit.report(pool)


async def test_protecting_twice_and_later_keeps_all_that_was_written(postgres: EmbeddedPostgres, pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    record = await AuditLog(pool).append(ENTRY)
    for _ in range(2):
        await audit.protect(postgres.dsn, schema=SCHEMA, service=SCHEMA)
    await AuditLog(pool).append(ENTRY)

    assert await audit.powers(pool) == []
    assert (await AuditLog(pool).examine()).finding is None
    assert await pool.fetchval("SELECT hash FROM audit_entries WHERE sequence = 1") == record.hash


async def test_a_service_that_could_undo_it_is_refused(postgres: EmbeddedPostgres, pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    with pytest.raises(StartupError, match="could undo it"):
        await audit.protect(postgres.dsn, schema=SCHEMA, service="argo")


async def test_an_ordinary_role_cannot_protect(postgres: EmbeddedPostgres, pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    dsn = await postgres.ensure_service(SCHEMA)
    with pytest.raises(StartupError, match="superuser"):
        await audit.protect(dsn, schema=SCHEMA, service=SCHEMA)


async def test_a_kept_log_is_migrated_by_its_keeper_and_the_service_says_so(
    postgres: EmbeddedPostgres, protected: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = tmp_path / "of_tomorrow" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "00.09.00_01_pre_add_place.sql").write_text("ALTER TABLE audit_entries ADD COLUMN place text;")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("mesh.audit.log._PACKAGE", "of_tomorrow")

    with pytest.raises(StartupError, match="not ours to migrate"):
        await audit.migrate(protected, phase="pre")
    await audit.protect(postgres.dsn, schema=SCHEMA, service=SCHEMA)

    assert await audit.migrate(protected, phase="pre") == []
    assert await audit.powers(protected) == []


@pytest.mark.parametrize("kept", [False, True])
async def test_the_log_of_release_0_1_0_is_carried_on(postgres: EmbeddedPostgres, pool: Pool, *, kept: bool) -> None:
    written = await _as_release_0_1_0(pool)
    if kept:
        await audit.protect(postgres.dsn, schema=SCHEMA, service=SCHEMA)
    else:
        await audit.migrate(pool, phase="pre")
        await audit.migrate(pool, phase="post")
    record = await AuditLog(pool).append(ENTRY)

    assert record.sequence == 4
    assert record.previous_hash == written
    assert await audit.verify(pool) is None


async def test_old_processes_append_to_the_new_schema(pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    log = AuditLog(pool)
    await log.append(ENTRY)
    await _append_as_release_0_1_0(pool)
    await log.append(ENTRY)

    assert await log.verify() is None
    assert (await log.head())[0] == 3


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=5, max_size=5)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_hashes_as_the_verifier_does(texts: list[str], pool: Pool) -> None:
    await audit.migrate(pool, phase="pre")
    who, why, what, to_whom, case = texts
    entry = AuditEntry(Act.TRANSFER, "w" + who, "y" + why, "o" + what, to_whom, case)
    record = await AuditLog(pool).append(entry)

    assert record.hash == hash_entry(entry, record.sequence, record.recorded_at, record.previous_hash)


async def _as_release_0_1_0(pool: Pool) -> bytes:
    """A schema and three entries as that release made them; answers the hash of the last."""
    await audit.migrate(pool, phase="pre")
    await pool.execute("DROP FUNCTION append_audit_entry")
    await pool.execute("DELETE FROM argo_migrations WHERE name NOT LIKE '00.01%'")
    return [await _append_as_release_0_1_0(pool) for _ in range(3)][-1]


async def _append_as_release_0_1_0(pool: Pool) -> bytes:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('argo_audit/' || current_schema(), 0))")
        head = await connection.fetchrow("SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1")
        sequence, previous = (head["sequence"] + 1, head["hash"]) if head else (1, GENESIS)
        now = await connection.fetchval("SELECT clock_timestamp()")
        digest = hash_entry(ENTRY, sequence, now, previous)
        await connection.execute(
            "INSERT INTO audit_entries (sequence, recorded_at, act, who, why, what, to_whom, case_reference, "
            "previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            sequence, now, ENTRY.act.value, ENTRY.who, ENTRY.why, ENTRY.what, "", "", previous, digest,
        )  # fmt: skip
        return digest


async def test_what_is_older_than_its_term_is_cut_off_and_the_cut_is_on_record(
    postgres: EmbeddedPostgres, pool: Pool
) -> None:
    await audit.protect(postgres.dsn, schema=SCHEMA, service=SCHEMA)
    log = AuditLog(pool)
    records = [await log.append(ENTRY) for _ in range(5)]
    cut = {"schema": SCHEMA, "who": "administrator/bianchi", "why": "end of the term"}

    nothing = await expire(postgres.dsn, before=records[0].recorded_at, **cut)
    last = await expire(postgres.dsn, before=records[3].recorded_at, **cut)

    assert (nothing, last) == (None, Anchor(3, records[2].hash))
    rows = await pool.fetch("SELECT sequence, act, who, what FROM audit_entries ORDER BY sequence")
    assert [row["sequence"] for row in rows] == [4, 5, 6]
    assert tuple(rows[-1])[1:] == ("erasure", "administrator/bianchi", f"audit entries up to {last}")
    assert await log.verify() is None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("DELETE FROM audit_entries")
    superuser = await asyncpg.connect(postgres.dsn, server_settings={"search_path": SCHEMA})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await superuser.execute("DELETE FROM audit_entries")
    await superuser.close()
