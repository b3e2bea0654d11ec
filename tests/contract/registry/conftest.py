from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh.embedded import EmbeddedPostgres
from tests.contract.registry.support import Administrator, Registry, fresh_database, running_registry


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def dsn(postgres_server: EmbeddedPostgres) -> str:
    return await fresh_database(postgres_server)


@pytest.fixture
async def registry(dsn: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with running_registry(dsn, tmp_path) as running:
        yield running


@pytest.fixture
async def administrator(registry: Registry) -> AsyncIterator[Administrator]:
    async with registry.channel("administrator/mrossi") as channel:
        yield Administrator(channel)
