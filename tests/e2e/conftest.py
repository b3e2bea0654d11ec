"""One whole mesh for all end-to-end tests: the real processes, one camera that plays the sample video."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mesh.local.environment import MeshOptions
from mesh.local.runner import LocalMesh
from mesh.local.sample import ensure_sample
from mesh.local.state import StateFolder
from tests.e2e.street import CAMERA, WHIP_DEVICE, WHIP_TOKEN, Street


@pytest.fixture(scope="session")
def sample() -> Path:
    path = Path("data/samples")
    if not any(path.glob("*.avi")):
        pytest.skip("the sample video is missing: make setup fetches it where apt-get is")
    return ensure_sample().resolve()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> AsyncIterator[Street]:
    """The mesh; alerts are grouped over a second only and erasure looks every second, so that no test has to wait."""
    folder = tmp_path_factory.mktemp("mesh")
    secrets = tmp_path_factory.mktemp("secrets") / "cameras.json"
    secrets.write_text(json.dumps({WHIP_DEVICE: {"tokens": {"one": WHIP_TOKEN, "main": WHIP_TOKEN}}}))
    settings = {"alerting": {"ARGO_GROUP_SECONDS": "1"}, "anonymizer": {"ARGO_ERASURE_PERIOD_SECONDS": "1"}}
    options = MeshOptions(camera_credentials=secrets, settings=settings)
    with StateFolder(folder) as state:
        async with LocalMesh(state, options) as mesh:
            street = Street(mesh)
            await mesh.start_services()
            await street.register(CAMERA, await street.play(CAMERA, sample))
            yield street
