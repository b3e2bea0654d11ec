from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool
from tests.contract.anonymizer import archive


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def pool(postgres: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with archive.fresh_pool(postgres) as pool:
        yield pool
