"""The optics that this replica works on: started, changed and ended as the leases say, each alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator

import structlog

from argo.registry.v1 import lease_service_pb2 as lease
from camera_gateway.domain.liveness import Reason
from camera_gateway.session import OpticSession

log = structlog.get_logger(__name__)

RESTART_SECONDS = 1.0

SessionFactory = Callable[[lease.DeviceLease, lease.OpticConfiguration, Callable[[str], None]], OpticSession]


class Fleet:
    """All sessions of this process, by optic.

    Args:
        make_session: makes the session of an optic.
    """

    def __init__(self, make_session: SessionFactory) -> None:
        self._make_session = make_session
        self._sessions: dict[str, OpticSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leases: dict[str, lease.DeviceLease] = {}
        self._watchers: set[Watch] = set()

    @property
    def sessions(self) -> list[OpticSession]:
        """The sessions, in the order of their optics."""
        return [self._sessions[optic] for optic in sorted(self._sessions)]

    def session(self, optic: str) -> OpticSession | None:
        """The session of an optic."""
        return self._sessions.get(optic)

    def device_lease(self, device: str) -> lease.DeviceLease | None:
        """The lease of a device that is held."""
        return self._leases.get(device)

    @contextlib.contextmanager
    def watching(self, optics: Iterable[str]) -> Iterator[Watch]:
        """The changes of ``optics`` (none: of all) while the block lasts."""
        watch = Watch(frozenset(optics))
        self._watchers.add(watch)
        try:
            yield watch
        finally:
            self._watchers.discard(watch)

    async def apply(self, device: lease.DeviceLease) -> None:
        """Work on exactly the optics of ``device``; an optic whose camera side did not change goes on undisturbed."""
        before = self._leases.get(device.device)
        self._leases[device.device] = device
        old = {} if before is None else {optic.optic: optic for optic in before.optics}
        new = {optic.optic: optic for optic in device.optics}
        moved = before is not None and (before.address, before.credentials) != (device.address, device.credentials)
        for optic in old.keys() - new.keys():
            await self._end(optic, Reason.LEASE_ENDED)
        for optic, configuration in new.items():
            session = self._sessions.get(optic)
            if session is None or moved or _camera_side(configuration) != _camera_side(session.configuration):
                await self._end(optic, Reason.LEASE_ENDED)
                self._start(device, configuration)
            elif configuration != session.configuration:
                session.configure(configuration)

    async def drop(self, device: str, reason: Reason) -> None:
        """End all streams of ``device`` at once."""
        held = self._leases.pop(device, None)
        if held is not None:
            await asyncio.gather(*(self._end(optic.optic, reason) for optic in held.optics))

    async def close(self) -> None:
        """End everything."""
        for device in list(self._leases):
            await self.drop(device, Reason.SHUTDOWN)

    def _start(self, device: lease.DeviceLease, configuration: lease.OpticConfiguration) -> None:
        session = self._make_session(device, configuration, self._changed)
        self._sessions[configuration.optic] = session
        self._tasks[configuration.optic] = asyncio.create_task(self._keep(session), name=f"optic {configuration.optic}")
        log.info("optic.started", optic=configuration.optic, version=configuration.version)

    async def _keep(self, session: OpticSession) -> None:
        # One optic's error must not reach the others, nor the process.
        while True:
            try:
                await session.run()
            except Exception:
                log.exception("optic.failed", optic=session.optic)
            await asyncio.sleep(RESTART_SECONDS)

    async def _end(self, optic: str, reason: Reason) -> None:
        session, task = self._sessions.pop(optic, None), self._tasks.pop(optic, None)
        if session is None or task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        session.stop(reason)
        for watch in self._watchers:
            watch.on_ended(optic)
        log.info("optic.stopped", optic=optic, reason=reason.value)

    def _changed(self, optic: str) -> None:
        for watch in self._watchers:
            watch.on_changed(optic)


class Watch:
    """What has changed since one watcher last looked; bounded by the number of optics."""

    def __init__(self, optics: frozenset[str]) -> None:
        self._optics = optics
        self._event = asyncio.Event()
        self._changed: set[str] = set()
        self._ended: set[str] = set()

    def covers(self, optic: str) -> bool:
        """Whether this watcher asked for ``optic``."""
        return not self._optics or optic in self._optics

    def on_changed(self, optic: str) -> None:
        """The session of ``optic`` changed or began."""
        if self.covers(optic):
            self._changed.add(optic)
            self._ended.discard(optic)
            self._event.set()

    def on_ended(self, optic: str) -> None:
        """``optic`` is no longer worked on."""
        if self.covers(optic):
            self._ended.add(optic)
            self._changed.discard(optic)
            self._event.set()

    async def next(self, at_most: float) -> tuple[set[str], set[str]]:
        """Optics that changed and that ended; after ``at_most`` seconds also when nothing did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await self._event.wait()
        self._event.clear()
        changed, self._changed = self._changed, set()
        ended, self._ended = self._ended, set()
        return changed, ended


def _camera_side(configuration: lease.OpticConfiguration) -> tuple[object, ...]:
    """What a session is built on and cannot change while it runs."""
    policy = configuration.policy
    return configuration.ingest, configuration.stream_path, policy.analysed_frame_rate, policy.analysis_width
