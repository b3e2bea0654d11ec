"""What the supervisor supervises: a child process of ours, or an embedded server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from mesh.local import tether
from mesh.local.errors import ProcessError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mesh.embedded import EmbeddedServer

_POLL_SECONDS: Final = 0.2

_LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""A larger log is set aside when its process is started by a new runner."""


class Member(Protocol):
    """A process that can be started, waited for and stopped."""

    @property
    def name(self) -> str:
        """Unique within a supervisor."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    async def start(self) -> None:
        """Start it, again or for the first time."""

    async def wait(self) -> int:
        """Wait until it has ended; the exit status, negative for a signal."""

    async def stop(self) -> None:
        """End it in good order, or by force."""


@dataclass
class ChildProcess:
    """A program with a log file of its own, which dies with this process.

    Attributes:
        name: unique within a supervisor.
        command: program and arguments.
        log_file: where standard output and error are appended.
        environment: all of its environment.
        grace_seconds: how long a SIGTERM may take before SIGKILL follows.
    """

    name: str
    command: tuple[str, ...]
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 15.0
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the program.

        Raises:
            ProcessError: the log file cannot be written or the interpreter cannot be started.
        """
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            if self._process is None:
                _set_aside(self.log_file)
            with self.log_file.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid())),
                    *self.command,
                    env=dict(self.environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for the runner alone: it stops its children in order.
                    start_new_session=True,
                )
        except OSError as error:
            raise ProcessError(
                f"{self.name} cannot be started: {error}", "check that the state folder is writable and not full"
            ) from None

    async def wait(self) -> int:
        """Wait until the program has ended; its exit status, negative for a signal."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), self.grace_seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@dataclass
class ServerProcess:
    """An embedded NATS or PostgreSQL server as a member of a supervisor.

    Attributes:
        name: unique within a supervisor.
        server: the server.
    """

    name: str
    server: EmbeddedServer

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.server.pid

    async def start(self) -> None:
        """Start it; returns when it answers."""
        await self.server.start()

    async def wait(self) -> int:
        """Wait until it has ended; -1, since the exit status is not known."""
        # Nobody tells: the server belongs to mesh.embedded, which has no event for its end.
        while self.server.is_running:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        return -1

    async def stop(self) -> None:
        """Stop it in good order."""
        await self.server.stop()


def _set_aside(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > _LOG_LIMIT_BYTES:
        log_file.replace(log_file.with_suffix(".old.log"))
