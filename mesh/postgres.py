"""PostgreSQL: a pool that waits for its server, queries from SQL files, migrations that never change afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg
import structlog

from mesh.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from importlib.resources.abc import Traversable

    import pydantic

log = structlog.get_logger()

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Phase = Literal["pre", "post"]

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_QUERY_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)
_MIGRATION_NAME = re.compile(r"\d{2}\.\d{2}\.\d{2}_\d{2}_(pre|post)_[a-z0-9_]+\.sql")
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.2, 5.0
_UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
                asyncpg.TooManyConnectionsError)  # fmt: skip
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)

UNAVAILABLE: tuple[type[BaseException], ...] = (
    *_UNREACHABLE,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # The server died in the middle of a query.
    asyncpg.InternalClientError,
)
"""What asyncpg raises when the database cannot be used now, unlike a wrong query; a store raises Unavailable then."""


@asynccontextmanager
async def open_pool(
    dsn: pydantic.SecretStr,
    *,
    schema: str,
    min_size: int = 1,
    max_size: int = 8,
    command_timeout: float = 30.0,
) -> AsyncIterator[Pool]:
    """Opens a pool for the block; waits for the server as long as it takes, and makes the schema if it is missing.

    Args:
        dsn: ``postgresql://…``; never printed.
        schema: of the service; the only one on the ``search_path``.
        min_size: connections kept open.
        max_size: connections at most.
        command_timeout: seconds after which a query is given up.

    Raises:
        StartupError: the server is there and refuses us, so waiting does not help.
        ValueError: the schema's name is not a plain SQL identifier.
    """
    if not _IDENTIFIER.fullmatch(schema):
        raise ValueError(f"not a plain SQL identifier: {schema!r}")
    pool = await _connect(dsn, schema, min_size=min_size, max_size=max_size, command_timeout=command_timeout)
    try:
        await _ensure_schema(pool, schema)
        yield pool
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _connect(dsn: pydantic.SecretStr, schema: str, **options: Any) -> Pool:
    retry_seconds, told = _FIRST_RETRY_SECONDS, False
    while True:
        try:
            pool = await asyncpg.create_pool(
                dsn.get_secret_value(), server_settings={"search_path": schema}, timeout=10, **options
            )
        except _UNREACHABLE as error:
            if not told:
                log.warning("postgres.unreachable", schema=schema, error_reason=type(error).__name__)
                told = True
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(2 * retry_seconds, _LAST_RETRY_SECONDS)
        except _REFUSED as error:
            raise StartupError(
                f"PostgreSQL refuses us ({type(error).__name__})", "check the role, password and database of the DSN"
            ) from None
        except ValueError:
            # asyncpg's own message would quote the DSN.
            raise StartupError(
                "the PostgreSQL DSN cannot be read", "give it as postgresql://user:password@host:port/db"
            ) from None
        else:
            log.info("postgres.connected", schema=schema)
            return pool


async def _ensure_schema(pool: Pool, schema: str) -> None:
    # CREATE SCHEMA IF NOT EXISTS asks for the right to create even when there is nothing to do.
    if await pool.fetchval("SELECT to_regnamespace($1)", schema) is None:
        await pool.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')


def load_queries(package: str, name: str = "queries.sql") -> Mapping[str, str]:
    """Reads the named queries of a SQL file, each after a line ``-- name: get_site``.

    Args:
        package: where the file lies, for example ``"registry.sql"``.
        name: of the file.

    Raises:
        ValueError: the file has no query, or two of one name.
    """
    parts = _QUERY_NAME.split(importlib.resources.files(package).joinpath(name).read_text())
    names, bodies = parts[1::2], parts[2::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{package}/{name} must hold queries with different names")
    return {query: body.strip() for query, body in zip(names, bodies, strict=True)}


async def migrate(pool: Pool, *, service: str, package: str, phase: Phase) -> list[str]:
    """Applies the new migrations of one phase, in the order of their names, each in a transaction.

    The files lie in ``migrations/`` of the package and are named ``00.01.00_01_pre_create_sites.sql``: version, number,
    phase, what it does. ``pre`` runs before the new code is rolled out, ``post`` after the last old process is gone.

    Args:
        pool: on the schema of the service.
        service: whose migrations these are; one schema may hold those of a service and of the audit log.
        package: for example ``"registry.sql"``.
        phase: which ones to apply.

    Returns:
        The names of the files applied now.

    Raises:
        StartupError: a file that was applied has changed since, or a file is misnamed.
    """
    files = _migration_files(package, phase)
    async with pool.acquire() as connection:
        schema = await connection.fetchval("SELECT current_schema()")
        lock = int.from_bytes(hashlib.sha256(f"argo_migrations/{schema}".encode()).digest()[:8], "big", signed=True)
        await connection.execute("SELECT pg_advisory_lock($1)", lock)
        try:
            await connection.execute(_MIGRATIONS_TABLE)
            done: list[str] = []
            for file in files:
                if await _apply(connection, service, file):
                    log.info("migration.applied", schema=schema, migration=file.name)
                    done.append(file.name)
            return done
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", lock)


_MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS argo_migrations (
    service text NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, name)
)
"""


def _migration_files(package: str, phase: Phase) -> list[Traversable]:
    folder = importlib.resources.files(package).joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    chosen = []
    for file in files:
        match = _MIGRATION_NAME.fullmatch(file.name)
        if match is None:
            raise StartupError(
                f"the migration {file.name} is misnamed", "name it like 00.01.00_01_pre_create_sites.sql"
            )
        if match[1] == phase:
            chosen.append(file)
    return chosen


async def _apply(connection: Any, service: str, file: Traversable) -> bool:
    content = file.read_text()
    digest = hashlib.sha256(content.encode()).digest()
    query = "SELECT sha256 FROM argo_migrations WHERE service = $1 AND name = $2"
    applied: bytes | None = await connection.fetchval(query, service, file.name)
    if applied is not None:
        if applied != digest:
            raise StartupError(
                f"the migration {file.name} of {service} was changed after it had been applied",
                "restore the file and put the change into a new migration",
            )
        return False
    async with connection.transaction():
        await connection.execute(content)
        await connection.execute(
            "INSERT INTO argo_migrations (service, name, sha256) VALUES ($1, $2, $3)", service, file.name, digest
        )
    return True
