from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh.testing import certificate_authority

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.authority import CertificateAuthority


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return certificate_authority(tmp_path / "authority")
