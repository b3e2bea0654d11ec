"""One device: its optics, the streams that they look at, and what happens to all of them together."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import site_pb2
from camera_gateway.domain.liveness import Reason
from camera_gateway.incidents import DeviceIncidents
from camera_gateway.session import crop_of, ignored_zones

if TYPE_CHECKING:
    from camera_gateway.session import OpticSession
    from camera_gateway.stream import Stream
    from camera_gateway.views import View

log = structlog.get_logger(__name__)

RESTART_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class StreamKey:
    """What makes two optics of a device look at the same stream: how it is fetched, and its path."""

    ingest: int
    path: str

    @classmethod
    def of(cls, configuration: lease.OpticConfiguration) -> StreamKey:
        """The stream of an optic; an optic that publishes has one of its own."""
        publishes = configuration.ingest == site_pb2.Optic.INGEST_WHIP
        return cls(configuration.ingest, configuration.optic if publishes else configuration.stream_path)


class Factory(Protocol):
    """Makes the parts of a device."""

    def make_stream(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, incidents: DeviceIncidents
    ) -> Stream:
        """The stream that an optic of ``device`` looks at."""

    def make_session(
        self,
        configuration: lease.OpticConfiguration,
        stream: Stream,
        incidents: DeviceIncidents,
        on_change: Callable[[str], None],
    ) -> OpticSession:
        """The session of one optic."""

    def make_view(self, session: OpticSession) -> View:
        """How the optic of a session looks at its stream."""


class Listener(Protocol):
    """Hears of the optics of the fleet."""

    def on_changed(self, optic: str) -> None:
        """Its state changed."""

    def on_ended(self, optic: str) -> None:
        """It is no longer worked on."""


class DeviceGroup:
    """The optics of one leased device.

    Args:
        device: resource name.
        factory: makes the parts.
        listener: hears of the optics.
    """

    def __init__(self, device: str, factory: Factory, listener: Listener) -> None:
        self._factory = factory
        self._listener = listener
        self._incidents = DeviceIncidents(device, self._stream_of)
        self._streams: dict[StreamKey, Stream] = {}
        self._tasks: dict[str | StreamKey, asyncio.Task[None]] = {}
        self.sessions: dict[str, OpticSession] = {}
        self.lease = lease.DeviceLease(device=device)

    async def apply(self, device: lease.DeviceLease) -> None:
        """Work on exactly the optics of ``device``; an optic whose camera side did not change goes on undisturbed."""
        before, self.lease = self.lease, device
        moved = _dialled(before) != _dialled(device)
        wanted = {configuration.optic: configuration for configuration in device.optics if _usable(configuration)}
        keys = {optic: StreamKey.of(configuration) for optic, configuration in wanted.items()}
        for optic, session in list(self.sessions.items()):
            if moved or optic not in wanted or keys[optic] != StreamKey.of(session.configuration):
                await self._end(optic, Reason.LEASE_ENDED)
        self._incidents.on_optics(set(wanted))
        for optic, configuration in wanted.items():
            if (held := self.sessions.get(optic)) is None:
                self._start(device, configuration)
            elif configuration != held.configuration:
                self._configure(held, configuration)

    async def close(self, reason: Reason) -> None:
        """End all optics."""
        await asyncio.gather(*(self._end(optic, reason) for optic in list(self.sessions)))
        self._incidents.close()

    def _stream_of(self, optic: str) -> Stream | None:
        session = self.sessions.get(optic)
        return None if session is None else session.stream

    def _configure(self, session: OpticSession, configuration: lease.OpticConfiguration) -> None:
        view_changed = _view(session.configuration) != _view(configuration)
        session.configure(configuration)
        if view_changed:
            session.stream.attach(session.optic, session, self._factory.make_view(session))

    def _start(self, device: lease.DeviceLease, configuration: lease.OpticConfiguration) -> None:
        optic, key = configuration.optic, StreamKey.of(configuration)
        stream = self._streams.get(key)
        begins = stream is None
        if stream is None:
            stream = self._streams[key] = self._factory.make_stream(device, configuration, self._incidents)
        session = self._factory.make_session(configuration, stream, self._incidents, self._listener.on_changed)
        stream.attach(optic, session, self._factory.make_view(session))
        self.sessions[optic] = session
        self._tasks[optic] = asyncio.create_task(_keep(optic, session.run), name=f"optic {optic}")
        if begins:
            self._tasks[key] = asyncio.create_task(_keep(stream.name, stream.run), name=f"stream {stream.name}")
        log.info("optic.started", optic=optic, version=configuration.version)

    async def _end(self, optic: str, reason: Reason) -> None:
        session = self.sessions.pop(optic)
        session.stream.detach(optic)
        key = StreamKey.of(session.configuration)
        if not session.stream.optics and self._streams.get(key) is session.stream:
            del self._streams[key]
            await self._cancel(key)
            session.stream.stop(reason)
        await self._cancel(optic)
        session.stop()
        self._listener.on_ended(optic)
        log.info("optic.stopped", optic=optic, reason=reason.value)

    async def _cancel(self, name: str | StreamKey) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _usable(configuration: lease.OpticConfiguration) -> bool:
    with contextlib.suppress(ValueError):
        crop_of(configuration)
        return True
    # Not the whole picture instead: the rest of it is other optics', with masks of their own.
    log.error("optic.crop_refused", optic=configuration.optic)
    return False


async def _keep(name: str, run: Callable[[], Awaitable[None]]) -> None:
    # One optic's error must not reach the others, nor the process.
    while True:
        try:
            await run()
        except Exception:
            log.exception("optic.failed", optic=name)
        await asyncio.sleep(RESTART_SECONDS)


def _dialled(device: lease.DeviceLease) -> tuple[object, ...]:
    """What all streams of a device are built on and cannot change while they run."""
    return device.address, device.credentials, device.transport


def _view(configuration: lease.OpticConfiguration) -> tuple[object, ...]:
    """What an optic's sampler is built on."""
    policy = configuration.policy
    crop = configuration.crop.SerializeToString(deterministic=True) if configuration.HasField("crop") else None
    ignored = tuple(zone.SerializeToString(deterministic=True) for zone in ignored_zones(configuration))
    return crop, policy.analysed_frame_rate, policy.analysis_width, policy.heartbeat_frame_rate, ignored
