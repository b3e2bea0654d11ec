from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING

import asyncpg
import pydantic
import pytest
import structlog

from mesh.embedded import EmbeddedPostgres
from mesh.errors import StartupError
from mesh.postgres import Pool, load_queries, migrate, open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CREATE = "CREATE TABLE sites (name text PRIMARY KEY);"
FILL = "INSERT INTO sites VALUES ('sites/porta-susa');"
DROP = "ALTER TABLE sites ADD COLUMN address text;"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package ``sample_sql`` with two migrations before and one after."""
    folder = tmp_path / "packages" / "sample_sql"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "migrations" / "00.01.00_01_pre_create_sites.sql").write_text(CREATE)
    (folder / "migrations" / "00.01.00_02_pre_fill_sites.sql").write_text(FILL)
    (folder / "migrations" / "00.01.00_50_post_add_address.sql").write_text(DROP)
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("sample_sql", None)


async def test_each_phase_is_applied_once_and_in_order(postgres: EmbeddedPostgres, package: Path) -> None:
    dsn = pydantic.SecretStr(await postgres.ensure_service("registry"))
    async with open_pool(dsn, schema="registry") as pool:
        first = await migrate(pool, service="registry", package="sample_sql", phase="pre")
        again = await migrate(pool, service="registry", package="sample_sql", phase="pre")
        after = await migrate(pool, service="registry", package="sample_sql", phase="post")
        rows = await pool.fetch("SELECT name, address FROM registry.sites")

    assert first == ["00.01.00_01_pre_create_sites.sql", "00.01.00_02_pre_fill_sites.sql"]
    assert again == []
    assert after == ["00.01.00_50_post_add_address.sql"]
    assert [tuple(row) for row in rows] == [("sites/porta-susa", None)]


async def test_replicas_that_migrate_at_once_do_it_once(postgres: EmbeddedPostgres, package: Path) -> None:
    async with open_pool(pydantic.SecretStr(postgres.dsn), schema="registry", max_size=8) as pool:
        done = await asyncio.gather(
            *(migrate(pool, service="registry", package="sample_sql", phase="pre") for _ in range(5))
        )

    assert sorted(len(names) for names in done) == [0, 0, 0, 0, 2]


async def test_a_changed_migration_is_refused(postgres: EmbeddedPostgres, package: Path) -> None:
    async with open_pool(pydantic.SecretStr(postgres.dsn), schema="registry") as pool:
        await migrate(pool, service="registry", package="sample_sql", phase="pre")
        (package / "migrations" / "00.01.00_01_pre_create_sites.sql").write_text(CREATE + " ")

        with pytest.raises(StartupError, match=r"00.01.00_01_pre_create_sites.sql of registry was changed"):
            await migrate(pool, service="registry", package="sample_sql", phase="pre")


async def test_a_broken_migration_leaves_nothing_behind(postgres: EmbeddedPostgres, package: Path) -> None:
    (package / "migrations" / "00.01.00_02_pre_fill_sites.sql").write_text(FILL + " SELECT 1 / 0;")
    async with open_pool(pydantic.SecretStr(postgres.dsn), schema="registry") as pool:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(pool, service="registry", package="sample_sql", phase="pre")
        rows = await pool.fetchval("SELECT count(*) FROM sites")
        (package / "migrations" / "00.01.00_02_pre_fill_sites.sql").write_text(FILL)
        done = await migrate(pool, service="registry", package="sample_sql", phase="pre")

    assert rows == 0
    assert done == ["00.01.00_02_pre_fill_sites.sql"]


async def test_a_misnamed_migration_is_refused(postgres: EmbeddedPostgres, package: Path) -> None:
    (package / "migrations" / "create_sites.sql").write_text(CREATE)
    async with open_pool(pydantic.SecretStr(postgres.dsn), schema="registry") as pool:
        with pytest.raises(StartupError, match=r"create_sites.sql is misnamed"):
            await migrate(pool, service="registry", package="sample_sql", phase="pre")


async def test_a_service_reaches_its_own_schema_only(postgres: EmbeddedPostgres) -> None:
    registry = pydantic.SecretStr(await postgres.ensure_service("registry"))
    alerting = pydantic.SecretStr(await postgres.ensure_service("alerting"))
    async with open_pool(registry, schema="registry") as pool:
        await pool.execute("CREATE TABLE sites (name text)")
    async with open_pool(alerting, schema="alerting") as pool:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("SELECT * FROM registry.sites")
        with pytest.raises(asyncpg.UndefinedTableError):
            await pool.execute("SELECT * FROM sites")


async def test_the_pool_waits_for_the_server(postgres: EmbeddedPostgres) -> None:
    dsn = pydantic.SecretStr(postgres.dsn)
    await postgres.stop()

    async def ask() -> int:
        async with open_pool(dsn, schema="registry") as pool:
            return int(await pool.fetchval("SELECT 7"))

    with structlog.testing.capture_logs() as logs:
        asking = asyncio.create_task(ask())
        async with asyncio.timeout(30):
            while not logs:
                await asyncio.sleep(0.02)
        await asyncio.sleep(1)  # several attempts
        await postgres.start()
        answer = await asking

    assert answer == 7
    assert [entry["event"] for entry in logs] == ["postgres.unreachable", "postgres.connected"]


async def test_the_pool_survives_a_kill_of_the_server(postgres: EmbeddedPostgres) -> None:
    async with open_pool(pydantic.SecretStr(postgres.dsn), schema="registry") as pool:
        await pool.execute("CREATE TABLE sites (name text); INSERT INTO sites VALUES ('sites/porta-susa')")
        postgres.kill()
        await postgres.start()
        async with asyncio.timeout(20):
            while (name := await _name_of_site(pool)) is None:
                await asyncio.sleep(0.1)
            assert name == "sites/porta-susa"


async def _name_of_site(pool: Pool) -> str | None:
    """None while the server is away."""
    try:
        name: str = await pool.fetchval("SELECT name FROM sites")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    return name


@pytest.mark.parametrize(
    "dsn", ["postgresql://argo:hunter2@127.0.0.1:{port}/argo", "hunter2", "postgresql://argo:hunter2@[/x"]
)
async def test_a_wrong_dsn_is_refused_plainly_and_not_shown(postgres: EmbeddedPostgres, dsn: str) -> None:
    secret = pydantic.SecretStr(dsn.format(port=postgres.port))

    with pytest.raises(StartupError) as caught:
        async with open_pool(secret, schema="registry"):
            pass

    assert "hunter2" not in str(caught.value)


async def test_a_recycled_process_id_does_not_block_the_start(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await server.start()
    server.kill()
    postmaster = tmp_path / "postgres" / "data" / "postmaster.pid"
    lines = postmaster.read_text().splitlines()
    postmaster.write_text("\n".join(["1", *lines[1:]]) + "\n")
    await server.start()
    running = server.is_running
    await server.stop()

    assert running


async def test_a_server_left_behind_by_a_killed_parent_is_taken_over(tmp_path: Path) -> None:
    abandoned = EmbeddedPostgres(tmp_path / "postgres")
    await abandoned.start()
    pid = abandoned.pid
    abandoned._release()  # what the kernel does when the parent dies
    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert server.pid != pid
        assert not abandoned.is_running


async def test_a_folder_in_use_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(StartupError, match="in use"):
        await EmbeddedPostgres(postgres.folder).start()

    assert postgres.is_running


def test_queries_are_read_by_name(package: Path) -> None:
    (package / "queries.sql").write_text(
        "-- name: get_site\n-- One site.\nSELECT 1;\n\n-- name: list_sites\nSELECT 2;\n"
    )

    assert load_queries("sample_sql") == {"get_site": "-- One site.\nSELECT 1;", "list_sites": "SELECT 2;"}


def test_two_queries_of_one_name_are_refused(package: Path) -> None:
    (package / "queries.sql").write_text("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")

    with pytest.raises(ValueError, match="different names"):
        load_queries("sample_sql")
