from __future__ import annotations

from tests.contract.registry.conftest import administrator, dsn, postgres_server, registry

__all__ = ["administrator", "dsn", "postgres_server", "registry"]
