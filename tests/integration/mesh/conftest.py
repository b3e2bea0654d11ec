from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh import testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.authority import CertificateAuthority
    from mesh.embedded import EmbeddedNats, EmbeddedPostgres


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return testing.certificate_authority(tmp_path / "tls")


@pytest.fixture
async def nats(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[EmbeddedNats]:
    async with testing.embedded_nats(tmp_path / "nats", authority) as server:
        yield server


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with testing.embedded_postgres(tmp_path / "postgres") as server:
        yield server
