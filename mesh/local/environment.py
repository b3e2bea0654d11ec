"""What each service is told in local mode: its environment variables, and nothing it does not know."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mesh.local.issuer import LocalIssuer
from mesh.local.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesh.local.state import StateFolder

SERVICES: Final[Mapping[str, str]] = {
    "registry": "registry",
    "detector": "detector",
    "anonymizer": "anonymizer",
    "camera-gateway": "camera_gateway",
    "alerting": "alerting",
}
"""The five services by name, with the package that each is run from, in the order of their start."""

DATABASES: Final = ("registry", "anonymizer", "alerting")
"""The services with a schema of their own."""


def databases_of(services: tuple[str, ...]) -> list[str]:
    """The databases that a mesh of these services needs: without a registry, nothing is recorded and nothing kept."""
    return [service for service in DATABASES if service in services] if "registry" in services else []


CONSOLE_TOKEN_BYTES: Final = 24


@dataclass(frozen=True)
class MeshOptions:
    """What differs from one local mesh to the next.

    Attributes:
        services: names of the services to run, in the order of their start.
        camera_networks: CIDR networks in which cameras may be dialled.
        camera_credentials: JSON file of camera secrets; None if no camera has any.
        console: whether somebody may sign in to the console.
        model_directory: where the models lie.
        settings: more settings by service, for example ``{"detector": {"ARGO_INFERENCE_THREADS": "1"}}``.
    """

    services: tuple[str, ...] = tuple(SERVICES)
    camera_networks: tuple[str, ...] = (f"{LOOPBACK}/32",)
    camera_credentials: Path | None = None
    console: bool = True
    model_directory: Path = Path(os.environ.get("ARGO_MODEL_DIRECTORY", "models"))
    settings: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Backends:
    """Where the embedded servers are; secrets included.

    Attributes:
        nats_url: of the NATS server.
        postgres: connection string by service.
    """

    nats_url: str
    postgres: Mapping[str, str]


class Environments:
    """Makes the environment of each service of one mesh.

    Args:
        state: folder, ports and certificates of the mesh.
        options: what this mesh is to do.
        backends: the embedded servers.
    """

    def __init__(self, state: StateFolder, options: MeshOptions, backends: Backends) -> None:
        self._state = state
        self._options = options
        self._backends = backends
        self.console_token = secrets.token_urlsafe(CONSOLE_TOKEN_BYTES)
        self._special: Mapping[str, Callable[[], dict[str, str]]] = {
            "registry": self._registry,
            "detector": self._detector,
            "anonymizer": self._anonymizer,
            "camera-gateway": self._camera_gateway,
            "alerting": self._alerting,
        }

    def of(self, service: str) -> dict[str, str]:
        """All environment variables of a service."""
        more = (self._options.settings or {}).get(service, {})
        return inherited() | self._common(service) | self._special[service]() | dict(more)

    def target(self, service: str) -> str:
        """host:port of the service's gRPC server."""
        return self._state.ports.address(f"{service}.grpc")

    def health(self, service: str) -> str:
        """host:port of the service's metrics and health."""
        return self._state.ports.address(f"{service}.http")

    def web(self, service: str) -> str:
        """host:port of what the service serves to browsers and publishers."""
        return self._state.ports.address(f"{service}.web")

    def _common(self, service: str) -> dict[str, str]:
        files = self._state.certificate(f"service/{service}")
        return {
            "ARGO_GRPC_LISTEN": self.target(service),
            "ARGO_HTTP_LISTEN": self.health(service),
            "ARGO_TLS_CERTIFICATE": str(files.certificate),
            "ARGO_TLS_KEY": str(files.key),
            "ARGO_TLS_CA": str(files.ca),
            **LocalIssuer(self._state.issuer).settings,
        }

    def _registry(self) -> dict[str, str]:
        return {
            "ARGO_POSTGRES_DSN": self._backends.postgres["registry"],
            "ARGO_CAMERA_NETWORKS": ",".join(self._options.camera_networks),
            "ARGO_MIGRATE_ON_START": "true",
            "ARGO_WEB_LISTEN": self.web("registry"),
            **self._checkpoints(),
        }

    def _checkpoints(self) -> dict[str, str]:
        return {
            "ARGO_SIGNING_KEY_FILE": str(self._state.signing_key),
            "ARGO_AUDIT_CHECKPOINT_URL": self._state.checkpoints.as_uri(),
        }

    def _detector(self) -> dict[str, str]:
        return {
            "ARGO_NATS_URL": self._backends.nats_url,
            "ARGO_MODEL_DIRECTORY": str(self._options.model_directory.resolve()),
        }

    def _anonymizer(self) -> dict[str, str]:
        environment = {
            "ARGO_WEB_LISTEN": self.web("anonymizer"),
            "ARGO_CONSOLE_ORIGIN": f"http://{self.web('alerting')}",
        }
        if "anonymizer" not in self._backends.postgres:
            return environment
        return environment | {
            "ARGO_RECORDING_URL": self._state.recordings.as_uri(),
            "ARGO_RECORDING_KEY_FILE": str(self._state.recording_key),
            **self._checkpoints(),
            "ARGO_POSTGRES_DSN": self._backends.postgres["anonymizer"],
            "ARGO_MIGRATE_ON_START": "true",
            "ARGO_REGISTRY": self.target("registry"),
        }

    def _camera_gateway(self) -> dict[str, str]:
        environment = {
            "ARGO_REGISTRY": self.target("registry"),
            "ARGO_DETECTOR": self.target("detector"),
            "ARGO_ANONYMIZER": self.target("anonymizer"),
            "ARGO_NATS_URL": self._backends.nats_url,
            "ARGO_CAMERA_NETWORKS": ",".join(self._options.camera_networks),
            "ARGO_WEB_LISTEN": self.web("camera-gateway"),
            "ARGO_REPLICA": "local",
        }
        if self._options.camera_credentials is not None:
            environment["ARGO_CAMERA_CREDENTIALS"] = str(self._options.camera_credentials)
        return environment

    def _alerting(self) -> dict[str, str]:
        environment = {
            "ARGO_NATS_URL": self._backends.nats_url,
            "ARGO_POSTGRES_DSN": self._backends.postgres["alerting"],
            "ARGO_MIGRATE_ON_START": "true",
            "ARGO_WEB_LISTEN": self.web("alerting"),
            **self._checkpoints(),
            "ARGO_OPEN_FLOWS": "true",
            "ARGO_REGISTRY": self.target("registry"),
            "ARGO_ANONYMIZER": self.target("anonymizer"),
            "ARGO_CAMERA_GATEWAY": self.target("camera-gateway"),
            "ARGO_WHEP_ORIGINS": f"http://{self.web('anonymizer')}",
        }
        if self._options.console:
            environment["ARGO_CONSOLE_TOKEN"] = self.console_token
        return environment


def inherited() -> dict[str, str]:
    """This process's environment for a child: without ARGO_* variables, with the packages that are importable here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARGO_")}
    roots = [root for package in ("mesh", "argo") for root in _roots(package)]
    kept["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*roots, *kept.get("PYTHONPATH", "").split(os.pathsep)])).strip(
        ":"
    )
    # grpc's core would write lines of its own between the JSON ones.
    return {"GRPC_VERBOSITY": "NONE"} | kept


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours; -P keeps a file of the working directory from posing as one."""
    return (sys.executable, "-P", "-m", module, *arguments)


def _roots(package: str) -> list[str]:
    """The folders from which a package, or a namespace package, is imported."""
    found = importlib.util.find_spec(package)
    locations = found.submodule_search_locations if found is not None else None
    return [str(Path(location).parent) for location in locations or ()]
