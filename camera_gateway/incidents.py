"""Tells the outages and the wrong clock of one device: one incident each, however many optics it has."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from camera_gateway.domain.clock import DriftAlarm
from camera_gateway.domain.liveness import State
from camera_gateway.domain.outage import DeviceOutage, Incident, News

if TYPE_CHECKING:
    from camera_gateway.stream import Stream

log = structlog.get_logger(__name__)

StreamFinder = Callable[[str], "Stream | None"]


class DeviceIncidents:
    """Listens to the streams of one device and writes its log.

    Args:
        device: resource name.
        find_stream: the stream of an optic, for the details.
        clock: monotonic seconds; the event loop's own.
    """

    def __init__(self, device: str, find_stream: StreamFinder, clock: Callable[[], float] = time.monotonic) -> None:
        self._device = device
        self._clock = clock
        self._find_stream = find_stream
        self._outage = DeviceOutage(lambda: str(uuid.uuid4()))
        self._alarm = DriftAlarm()
        self._timer: asyncio.TimerHandle | None = None
        self.drift: float | None = None
        """How far the device's clock is behind ours, seconds; None when it does not tell."""

    @property
    def clock_is_off(self) -> bool:
        """Whether the device's clock is off by more than a second."""
        return self._alarm.active

    def incident_of(self, optic: str) -> str:
        """The incident that ``optic`` is lost in; empty when it is not lost."""
        return self._outage.incident_of(optic)

    def on_optics(self, optics: set[str]) -> None:
        """The device has these optics from now on."""
        self._tell(self._outage.on_optics(optics, self._clock()))

    def close(self) -> None:
        """The device is no longer worked on."""
        if self._timer is not None:
            self._timer.cancel()

    def on_stream_state(self, stream: Stream) -> None:
        """See `StreamListener`."""
        state, reason, now = stream.liveness.state, stream.liveness.reason, self._clock()
        news: list[tuple[News, Incident]] = []
        if state is State.STREAMING:
            if not self._outage.lost & set(stream.optics):
                log.info(
                    "camera.connected",
                    device=self._device,
                    optics=_ids(stream.optics),
                    attempts=stream.connection.attempts,
                )
            for optic in stream.optics:
                news += self._outage.on_back(optic, now)
        elif state in (State.BACKING_OFF, State.REFUSED) and reason is not None:
            # Nobody tells it now; another session may never do so again.
            self.drift = None
            for optic in stream.optics:
                news += self._outage.on_lost(optic, reason, now)
        self._tell(news)

    def on_stream_clock(self, stream: Stream, drift: float) -> None:
        """See `StreamListener`; the optics of a device share its clock."""
        self.drift = drift
        if not self._alarm.observe(drift, self._clock()):
            return
        optics, behind = _ids(stream.optics), round(drift, 3)
        if self._alarm.active:
            log.warning("optic.clock_drift", device=self._device, optics=optics, behind_seconds=behind)
        else:
            log.info("optic.clock_restored", device=self._device, optics=optics, behind_seconds=behind)

    def _tick(self) -> None:
        self._timer = None
        self._tell(self._outage.tick(self._clock()))

    def _tell(self, news: list[tuple[News, Incident]]) -> None:
        for kind, incident in news:
            if kind is News.RESTORED:
                lasted = round(self._clock() - incident.since, 1)
                optics = _ids(incident.reasons)
                log.info("camera.restored", device=self._device, incident=incident.name, optics=optics, seconds=lasted)
            else:
                self._tell_lost(incident)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._outage.due_at) is not None:
            # asyncio's clock is the monotonic clock; a whisker more, so that the time has come when it rings.
            self._timer = asyncio.get_running_loop().call_at(due + 0.01, self._tick)

    def _tell_lost(self, incident: Incident) -> None:
        lost = sorted(self._outage.lost) or sorted(incident.reasons)
        stream = self._find_stream(lost[0])
        now = self._clock()
        log.warning(
            "camera.lost",
            device=self._device,
            incident=incident.name,
            optics=_ids(lost),
            whole_device=incident.whole,
            reason=incident.reasons[lost[0]].value,
            detail="" if stream is None else stream.connection.detail,
            failures=0 if stream is None else stream.liveness.failures,
            retry_seconds=0.0 if stream is None else round((stream.liveness.retry_at or now) - now, 1),
        )


def _ids(optics: Iterable[str]) -> list[str]:
    return sorted(optic.rpartition("/")[2] for optic in optics)
