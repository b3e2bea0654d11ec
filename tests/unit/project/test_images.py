"""An image carries the packages of one extra: whatever its service imports, directly or not, has to be among them."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import grimp
import pytest

SERVICES = ("registry", "camera_gateway", "detector", "anonymizer", "alerting")


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*SERVICES, "mesh", include_external_packages=True, cache_dir=None)


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_imports_is_in_its_image(service: str, imports: grimp.ImportGraph, root: Path) -> None:
    lock = (root / "requirements" / f"{service.replace('_', '-')}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9.-]+)==", lock, flags=re.MULTILINE))
    own = {*SERVICES, "mesh", "argo"}
    external = {
        module.split(".")[0]
        for module in imports.find_upstream_modules(f"{service}.__main__")
        if module.split(".")[0] not in own | sys.stdlib_module_names
    }
    providers = metadata.packages_distributions()

    assert {"grpc", "pydantic", "structlog"} <= external
    missing = {
        module for module in external if not {_distribution(name) for name in providers.get(module, [])} & locked
    }
    assert missing == set()
