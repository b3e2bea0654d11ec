"""Bringing the schema up to date."""

from __future__ import annotations

import argparse
from typing import get_args

import asyncpg

from alerting.settings import AlertingSettings
from mesh import audit, postgres
from mesh.errors import StartupError

SCHEMA = "alerting"


async def migrate(pool: postgres.Pool, phase: postgres.Phase) -> list[str]:
    """Applies the migrations of one phase, also of the audit log; returns the names of those applied now."""
    done = await audit.migrate(pool, phase=phase)
    return done + await postgres.migrate(pool, service=SCHEMA, package="alerting.sql", phase=phase)


async def migrate_command(settings: AlertingSettings, arguments: list[str]) -> int:
    """``alerting migrate --phase pre|post``."""
    parser = argparse.ArgumentParser(prog="alerting migrate")
    parser.add_argument("--phase", choices=get_args(postgres.Phase), required=True)
    phase: postgres.Phase = parser.parse_args(arguments).phase
    async with postgres.open_pool(settings.postgres_dsn, schema=SCHEMA) as pool:
        applied = await migrate(pool, phase)
    print(f"{len(applied)} migrations applied" + "".join(f"\n  {name}" for name in applied))  # noqa: T201
    return 0


async def ensure_migrated(pool: postgres.Pool) -> None:
    """Checks that the tables are there.

    Raises:
        StartupError: they are not.
    """
    try:
        await pool.fetchval("SELECT head FROM change_sequence")
        await pool.fetchval("SELECT max(sequence) FROM audit_entries")
    except asyncpg.UndefinedTableError:
        raise StartupError(
            "the database has no tables of alerting",
            "run `alerting migrate --phase pre` first, or set ARGO_MIGRATE_ON_START=true in local mode",
        ) from None
