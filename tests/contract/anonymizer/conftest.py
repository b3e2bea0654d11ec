from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh.embedded import EmbeddedPostgres
from mesh.testing import certificate_authority
from tests.contract.anonymizer import archive

if TYPE_CHECKING:
    from mesh.authority import CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return certificate_authority(tmp_path / "authority")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def world(
    authority: CertificateAuthority, postgres: EmbeddedPostgres, tmp_path: Path
) -> AsyncIterator[archive.World]:
    async with archive.fresh_pool(postgres) as pool, archive.archive(authority, pool, tmp_path / "recordings") as world:
        yield world
