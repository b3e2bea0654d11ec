"""The optics that this replica works on: started, changed and ended as the leases say, each alone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from camera_gateway.device import DeviceGroup, Factory
from camera_gateway.domain.liveness import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from argo.registry.v1 import lease_service_pb2 as lease
    from camera_gateway.session import OpticSession


class Fleet:
    """All devices of this process.

    Args:
        factory: makes the parts of a device.
    """

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._devices: dict[str, DeviceGroup] = {}
        self._watchers: set[Watch] = set()

    @property
    def sessions(self) -> list[OpticSession]:
        """The sessions, in the order of their optics."""
        sessions = {optic: session for group in self._devices.values() for optic, session in group.sessions.items()}
        return [sessions[optic] for optic in sorted(sessions)]

    def session(self, optic: str) -> OpticSession | None:
        """The session of an optic."""
        group = self._devices.get(optic.partition("/optics/")[0])
        return None if group is None else group.sessions.get(optic)

    def device_lease(self, device: str) -> lease.DeviceLease | None:
        """The lease of a device that is held."""
        group = self._devices.get(device)
        return None if group is None else group.lease

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
        group = self._devices.get(device.device)
        if group is None:
            group = self._devices[device.device] = DeviceGroup(device.device, self._factory, self)
        await group.apply(device)

    async def drop(self, device: str, reason: Reason) -> None:
        """End all streams of ``device`` at once."""
        group = self._devices.pop(device, None)
        if group is not None:
            await group.close(reason)

    async def close(self) -> None:
        """End everything."""
        for device in list(self._devices):
            await self.drop(device, Reason.SHUTDOWN)

    def on_changed(self, optic: str) -> None:
        """See `device.Listener`."""
        for watch in self._watchers:
            watch.on_changed(optic)

    def on_ended(self, optic: str) -> None:
        """See `device.Listener`."""
        for watch in self._watchers:
            watch.on_ended(optic)


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
