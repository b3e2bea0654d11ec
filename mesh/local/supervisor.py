"""Keeps a set of processes running: ordered start, restart after a crash, ordered stop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import structlog

from mesh.errors import StartupError
from mesh.local.restart import RestartBackoff, RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from mesh.local.process import Member

log = structlog.get_logger(__name__)


@dataclass
class _Supervised:
    member: Member
    backoff: RestartBackoff
    watcher: asyncio.Task[None] | None = None
    restarts: int = 0


class Supervisor:
    """Starts members one by one and starts again whichever ends. Use as an async context manager."""

    def __init__(self, policy: RestartPolicy | None = None) -> None:
        self._policy = policy or RestartPolicy()
        self._supervised: dict[str, _Supervised] = {}
        self.on_end: Callable[[str, int], None] = lambda _name, _status: None
        """Called with name and exit status when a member ended without having been stopped."""

    @property
    def restarts(self) -> dict[str, int]:
        """How often each member was started again, by name."""
        return {name: supervised.restarts for name, supervised in self._supervised.items()}

    @property
    def pids(self) -> dict[str, int | None]:
        """Process ids by name; None for a member that does not run now."""
        return {name: supervised.member.pid for name, supervised in self._supervised.items()}

    async def start(self, member: Member) -> None:
        """Start a member and keep it running from now on.

        Raises:
            StartupError: it cannot be started.
            ValueError: there is one of that name.
        """
        if member.name in self._supervised:
            raise ValueError(f"{member.name} is supervised already")
        supervised = _Supervised(member, RestartBackoff(self._policy))
        self._supervised[member.name] = supervised
        await member.start()
        log.info("process.started", process=member.name, pid=member.pid)
        supervised.watcher = asyncio.create_task(self._watch(supervised), name=f"watch-{member.name}")

    async def stop(self) -> None:
        """Stop all members, the one that was started last first."""
        while self._supervised:
            _, supervised = self._supervised.popitem()
            if supervised.watcher is not None:
                supervised.watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await supervised.watcher
            await supervised.member.stop()
            log.info("process.stopped", process=supervised.member.name)

    async def _watch(self, supervised: _Supervised) -> None:
        loop = asyncio.get_running_loop()
        member = supervised.member
        while True:
            started = loop.time()
            status = await member.wait()
            delay = supervised.backoff.delay_after(loop.time() - started)
            self.on_end(member.name, status)
            log.warning("process.ended", process=member.name, status=status, restart_in_seconds=delay)
            await asyncio.sleep(delay)
            supervised.restarts += 1
            try:
                await member.start()
            except StartupError as error:
                # The next turn of the loop finds it ended and waits longer.
                log.error("process.restart_failed", process=member.name, problem=error.problem)  # noqa: TRY400
            else:
                log.info("process.restarted", process=member.name, pid=member.pid, restarts=supervised.restarts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
