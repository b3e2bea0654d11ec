from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from detector import model as models
from detector.catalogue import store
from detector.catalogue.cards import DEFAULT_MODEL, find_card
from detector.catalogue.errors import CatalogueError
from mesh.testing import certificate_authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh.authority import CertificateAuthority

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="session")
def model() -> Iterator[models.Model]:
    try:
        store.read_model(find_card(DEFAULT_MODEL), MODELS)
    except CatalogueError as error:
        pytest.skip(str(error))
    loaded = models.load(DEFAULT_MODEL, MODELS, threads=1)
    yield loaded
    loaded.close()


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return certificate_authority(tmp_path / "authority")
