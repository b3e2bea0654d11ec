"""The database of a local mesh for whoever is not part of it: of a running one, or started for a moment."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from mesh.embedded import EmbeddedPostgres
from mesh.local.errors import StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def administrator_dsn(state: Path, given: str | None = None) -> AsyncIterator[str]:
    """The connection string of the database's administrator for the block.

    Args:
        state: folder of the local mesh. If its server does not run, it is started, and stopped at the end.
        given: of another database, which is taken instead.

    Raises:
        StateError: there is no local mesh in that folder.
        StartupError: its server does not start.
    """
    if given:
        yield given
        return
    folder = state / "postgres"
    if not (folder / "initialised").exists():
        raise StateError(
            f"there is no database of a local mesh in {state}",
            "name its folder with --state, or another database with ARGO_POSTGRES_DSN",
        )
    server = EmbeddedPostgres(folder, port=_port(state))
    if await _answers(server.dsn):
        yield server.dsn
    else:
        async with server:
            yield server.dsn


def _port(state: Path) -> int | None:
    try:
        return int(json.loads((state / "ports.json").read_text())["postgres"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _answers(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True
