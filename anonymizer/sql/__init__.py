"""The SQL of the anonymizer: named queries and migrations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, get_args

from mesh import audit, postgres
from mesh.errors import StartupError
from mesh.postgres import Phase, Pool, load_queries

if TYPE_CHECKING:
    from anonymizer.settings import AnonymizerSettings

SCHEMA = "anonymizer"
_PACKAGE = "anonymizer.sql"
QUERIES = load_queries(_PACKAGE)


async def migrate(pool: Pool, phase: Phase) -> list[str]:
    """Applies the migrations of one phase, also of the audit log; returns the names of those applied now.

    Raises:
        StartupError: a migration was changed after it had been applied.
    """
    done = await audit.migrate(pool, phase=phase)
    return done + await postgres.migrate(pool, service=SCHEMA, package=_PACKAGE, phase=phase)


async def migrate_command(settings: AnonymizerSettings, arguments: list[str]) -> int:
    """``anonymizer migrate --phase pre|post``.

    Raises:
        StartupError: no database is set.
    """
    parser = argparse.ArgumentParser(prog="anonymizer migrate")
    parser.add_argument("--phase", choices=get_args(postgres.Phase), required=True)
    phase: postgres.Phase = parser.parse_args(arguments).phase
    if settings.postgres_dsn is None:
        raise StartupError("there is no database to migrate", "set ARGO_POSTGRES_DSN")
    async with postgres.open_pool(settings.postgres_dsn, schema=SCHEMA) as pool:
        applied = await migrate(pool, phase)
    print(f"{len(applied)} migrations applied" + "".join(f"\n  {name}" for name in applied))  # noqa: T201
    return 0
