"""The SQL of the registry: named queries and migrations."""

from __future__ import annotations

from mesh import audit, postgres
from mesh.postgres import Phase, Pool, load_queries

_PACKAGE = "registry.sql"
QUERIES = load_queries(_PACKAGE)


async def migrate(pool: Pool, phase: Phase) -> None:
    """Applies the migrations of the registry and of its audit log, see ``mesh.postgres.migrate``.

    Raises:
        StartupError: a migration was changed after it had been applied.
    """
    await postgres.migrate(pool, service="registry", package=_PACKAGE, phase=phase)
    await audit.migrate(pool, phase=phase)
