from __future__ import annotations

from tests.contract.registry.conftest import administrator, dsn, empty_dsn, postgres_server, registry

__all__ = ["administrator", "dsn", "empty_dsn", "postgres_server", "registry"]
