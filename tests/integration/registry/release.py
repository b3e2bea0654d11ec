"""A database as an earlier release left it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import asyncpg

from registry import sql


async def as_release_0_1_0(dsn: str, controller: str, *more: str) -> int:
    """The schema of that release with one street, as its own code left it; answers the number of the last change.

    Args:
        dsn: of an empty database.
        controller: SQL of the device's controller, free text then.
        more: further statements.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA registry; SET search_path = registry")
        await connection.execute(
            "CREATE TABLE argo_migrations (service text, name text, sha256 bytea, "
            "applied_at timestamptz DEFAULT now(), PRIMARY KEY (service, name))"
        )
        folder = Path(sql.__file__).parent / "migrations"
        for file in sorted(folder.glob("00.01.00_*.sql")):
            await connection.execute(file.read_text())
            digest = hashlib.sha256(file.read_bytes()).digest()
            await connection.execute(
                "INSERT INTO argo_migrations (service, name, sha256) VALUES ('registry', $1, $2)", file.name, digest
            )
        street = Path(__file__).with_name("release_0_1_0.sql").read_text().replace(":controller", controller)
        async with connection.transaction():
            for statements in (street, *more):
                await connection.execute(statements)
        sequence: int = await connection.fetchval("SELECT sequence FROM change_clock")
        return sequence
    finally:
        await connection.close()
