"""What the runner tells each service is what that service understands."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

from mesh.local.environment import SERVICES, Backends, Environments, MeshOptions, inherited
from mesh.local.state import StateFolder
from mesh.settings import ServiceSettings, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {
    "registry": ("registry.settings", "RegistrySettings"),
    "detector": ("detector.settings", "DetectorSettings"),
    "anonymizer": ("anonymizer.settings", "AnonymizerSettings"),
    "camera-gateway": ("camera_gateway.settings", "GatewaySettings"),
    "alerting": ("alerting.settings", "AlertingSettings"),
}
BACKENDS = Backends("tls://127.0.0.1:4222", {name: f"postgresql://{name}:x@127.0.0.1/argo" for name in SERVICES})


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder(tmp_path / "state") as folder:
        yield folder


@pytest.mark.parametrize("service", SERVICES)
def test_service_understands_its_environment(state: StateFolder, tmp_path: Path, service: str) -> None:
    options = MeshOptions(
        camera_credentials=tmp_path / "credentials.json", settings={"alerting": {"ARGO_GROUP_SECONDS": "5"}}
    )
    module, name = SETTINGS[service]
    settings_type = getattr(importlib.import_module(module), name)
    settings = load(settings_type, Environments(state, options, BACKENDS).of(service))

    assert isinstance(settings, ServiceSettings)
    assert settings.grpc_listen == state.ports.address(f"{service}.grpc")


def test_without_console_nobody_gets_a_token(state: StateFolder) -> None:
    environments = [Environments(state, MeshOptions(console=console), BACKENDS) for console in (True, False)]

    assert ["ARGO_CONSOLE_TOKEN" in environment.of("alerting") for environment in environments] == [True, False]


def test_settings_of_the_shell_do_not_reach_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_POSTGRES_DSN", "postgresql://elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = inherited()

    assert "ARGO_POSTGRES_DSN" not in environment
    assert environment["PYTHONPATH"].endswith("/somewhere")
