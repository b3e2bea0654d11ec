"""Taking the log out of the reach of the service that writes it.

The owner of a table may change it, whatever its triggers say, and the owner of a schema may drop what lies in it. So
table and schema go to a role of their own, to which nobody can log in, and the service keeps INSERT and SELECT.
"""

from __future__ import annotations

import importlib.resources

import asyncpg
import pydantic
import structlog

from mesh.audit.log import migrate
from mesh.errors import StartupError
from mesh.postgres import Pool, load_queries, open_pool

log = structlog.get_logger()

_QUERIES = load_queries("mesh.sql", "audit.sql")
_PROTECT = importlib.resources.files("mesh.sql").joinpath("protect.sql").read_text()


async def protect(dsn: str, *, schema: str, service: str) -> None:
    """Migrates the log of a schema and hands it to the role ``{schema}_audit``; may be repeated.

    Args:
        dsn: of the database's administrator (a superuser); a secret.
        schema: of the service.
        service: role with which the service logs in.

    Raises:
        StartupError: the administrator may not do it, or the service's role could undo it.
    """
    async with open_pool(pydantic.SecretStr(dsn), schema=schema, max_size=2) as pool:
        try:
            for phase in ("pre", "post"):
                await migrate(pool, phase=phase)
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "SELECT set_config('argo.audit_schema', $1, true), set_config('argo.audit_service', $2, true)",
                    schema, service,
                )  # fmt: skip
                await connection.execute(_PROTECT)
        except asyncpg.PostgresError as error:
            raise StartupError(
                f"the audit log of {schema} cannot be protected: {error}", "run this as a superuser of the database"
            ) from None


async def powers(pool: Pool) -> list[str]:
    """What the pool's role could do to entries that exist, for example ``["UPDATE", "owner of the schema"]``."""
    row = await pool.fetchrow(_QUERIES["powers"])
    return [power for power, held in row.items() if held]


async def report(pool: Pool) -> None:
    """Warns in the service's log if its role could change the audit log: then the triggers and the chain are all.

    Raises:
        StartupError: the log is not there, or is that of an earlier release.
    """
    try:
        held = await powers(pool)
        await pool.fetchval("SELECT 'append_audit_entry'::regproc")
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        raise StartupError(
            "the database has no audit log of this release", "run the service's command `migrate --phase pre` first"
        ) from None
    if held:
        log.warning("audit.unprotected", powers=held)
