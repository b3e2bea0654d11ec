"""Runs a whole mesh on this machine: embedded servers, then the services, each ready before what depends on it."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from mesh import audit
from mesh.embedded import EmbeddedNats, EmbeddedPostgres
from mesh.local.environment import SERVICES, Backends, Environments, MeshOptions, databases_of, inherited, python_module
from mesh.local.errors import ProcessError
from mesh.local.process import ChildProcess, ServerProcess
from mesh.local.supervisor import Supervisor
from mesh.settings import ServiceSettings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from mesh.local.state import StateFolder

READY_SECONDS: Final = 90.0
"""A detector on a slow, busy machine needs some ten seconds to load and warm up its model."""

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 20.0
_NOBODY: Final = "tls://127.0.0.1:1"
"""The bus of a mesh that has none: services connect in the background and go on without."""

PEOPLE: Final = (
    "administrator/local", "supervisor/second", "operator/local", "investigator/local", "auditor/local",
    "authority/polizia-locale",
    "system/local",
)  # fmt: skip
"""Identities that get a certificate, for the command line and for clients; ``system/local`` carries tokens."""


class LocalMesh:
    """The processes of a mesh. Use as an async context manager: it starts the servers, and stops everything at the end.

    Then come the processes that the services shall find, and outlive them at the stop, if any; then ``start_services``.

    Args:
        state: a folder that is held.
        options: what to run.
        say: told about each step of the start.
    """

    def __init__(
        self, state: StateFolder, options: MeshOptions, say: Callable[[str], None] = lambda _step: None
    ) -> None:
        self.state = state
        self.options = options
        self.supervisor = Supervisor()
        self._say = say
        self._stack = AsyncExitStack()
        self._environments: Environments | None = None

    @property
    def environments(self) -> Environments:
        """The addresses and environments of the services."""
        if self._environments is None:
            raise RuntimeError("the mesh is not running")
        return self._environments

    @property
    def console_url(self) -> str:
        """Where the console is, signed in; a secret."""
        return f"http://{self.environments.web('alerting')}/?token={self.environments.console_token}"

    def settings_of(self, identity_path: str) -> ServiceSettings:
        """What a gRPC client needs to call the services as somebody."""
        files = self.state.certificate(identity_path)
        paths = {"CERTIFICATE": files.certificate, "KEY": files.key, "CA": files.ca}
        return load(ServiceSettings, {f"ARGO_TLS_{name}": str(path) for name, path in paths.items()})

    async def __aenter__(self) -> Self:
        """Start the servers.

        Raises:
            StartupError: one does not start; what was started is stopped.
        """
        await self._stack.enter_async_context(self.supervisor)
        try:
            services = self.options.services
            databases = databases_of(services)
            # Without the services that have databases there is nobody to hear of events either.
            backends = await self._start_servers(databases) if databases else Backends(_NOBODY, {})
            self._environments = Environments(self.state, self.options, backends)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start_child(self, name: str, module: str, *arguments: str, environment: dict[str, str]) -> None:
        """Run one more module as a supervised process, with ``environment`` on top of the inherited one."""
        await self.supervisor.start(
            ChildProcess(
                name,
                python_module(module, *arguments),
                self.state.logs / f"{name}.log",
                inherited() | environment,
                _GRACE_SECONDS,
            )
        )

    async def start_services(self) -> None:
        """Start the services and wait until they are ready.

        Raises:
            StartupError: one does not start.
        """
        self._say(f"starting {', '.join(self.options.services)}")
        for service in self.options.services:
            await self.start_child(service, SERVICES[service], environment=self.environments.of(service))
        await self._wait_until_ready()
        self._write_endpoints()
        self.supervisor.on_end = lambda name, status: self._say(f"{name} ended with status {status}: starting it again")

    async def _start_servers(self, databases: Sequence[str]) -> Backends:
        self._say("starting NATS and PostgreSQL")
        ports, folder = self.state.ports, self.state.path
        nats = EmbeddedNats(folder / "nats", tls=self.state.certificate("system/nats"), port=ports.reserve("nats"))
        postgres = EmbeddedPostgres(folder / "postgres", port=ports.reserve("postgres"))
        await self.supervisor.start(ServerProcess("nats", nats))
        await self.supervisor.start(ServerProcess("postgres", postgres))
        databases_of = {service: await postgres.ensure_service(service) for service in databases}
        for service in databases:
            await audit.protect(postgres.dsn, schema=service, service=service)
        return Backends(nats.url, databases_of)

    async def _wait_until_ready(self) -> None:
        """Return when all services say that they are ready.

        Raises:
            ProcessError: one ended instead, or they take too long.
        """
        waiting = list(self.options.services)
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as client:
            while waiting:
                for service in tuple(waiting):
                    if await _answers_ready(client, f"http://{self.environments.health(service)}/readyz"):
                        waiting.remove(service)
                        self._say(f"{service} is ready")
                self._check_start(waiting, late=asyncio.get_running_loop().time() > deadline)
                await asyncio.sleep(_POLL_SECONDS)

    def _check_start(self, waiting: Sequence[str], *, late: bool) -> None:
        for service in waiting:
            log_file = self.state.logs / f"{service}.log"
            if self.supervisor.restarts[service]:
                raise ProcessError(f"{service} does not start: {last_words(log_file)}", f"see {log_file}")
            if late:
                raise ProcessError(f"{service} was not ready within {READY_SECONDS:g} s", f"see {log_file}")

    def endpoints(self) -> dict[str, object]:
        """Where everything is, for people and for clients; no secret in it but the paths of keys."""
        certificates = self.state.path / "certificates"
        stems = {identity: identity.replace("/", "-") for identity in PEOPLE}
        return {
            "grpc": {service: self.environments.target(service) for service in self.options.services},
            "health": {service: self.environments.health(service) for service in self.options.services},
            "console": f"http://{self.environments.web('alerting')}/",
            "certificates": {
                "authority": str(certificates / "ca.pem"),
                **{
                    identity: {
                        "certificate": str(certificates / f"{stem}.pem"),
                        "key": str(certificates / f"{stem}-key.pem"),
                    }
                    for identity, stem in stems.items()
                },
            },
        }

    def _write_endpoints(self) -> None:
        for identity in PEOPLE:
            self.state.certificate(identity)
        (self.state.path / "endpoints.json").write_text(json.dumps(self.endpoints(), indent=2) + "\n")


async def _answers_ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


def last_words(log_file: Path) -> str:
    """Why a service refused to start, from its log: the problem that it named, else its last line."""
    try:
        lines = [line for line in log_file.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it left no log"
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("problem"):
            return str(entry["problem"])
    return lines[-1][:300] if lines else "it said nothing"
