from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from alerting.assembly import Parts
from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool
from mesh.testing import certificate_authority
from tests.integration.alerting import support


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return certificate_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def pool(database: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with support.fresh_pool(database) as pool:
        yield pool


@pytest.fixture
def parts(pool: Pool, authority: CertificateAuthority) -> Parts:
    return support.parts(pool, support.settings(authority))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
