"""Keeps one source running: waits for its turn, dials, watches the deadlines, backs off, dials again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from camera_gateway.domain.liveness import Event, Liveness, Reason, State
from camera_gateway.sources import Listener, Picture, Source, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from camera_gateway.domain.sight import Change
    from camera_gateway.turns import Turns

log = structlog.get_logger(__name__)

LATE_SECONDS: Final = 0.5
"""A deadline that is looked at so much later was missed by this process, and not by the camera."""
GRACE_SECONDS: Final = 1.0
"""What the camera has then: enough to read what came meanwhile."""
WHISKER: Final = 0.01
"""Seconds after a deadline at which it is looked at, so that the machine sees it passed."""

DECODER_BEHIND: Final = "decoder_behind"
"""Why the pipeline drops coded pictures that there was no time for."""


class Connection:
    """Drives a source under a liveness machine, for as long as `run` is not cancelled.

    Args:
        name: of the stream, for the log.
        source: what is dialled.
        liveness: the machine.
        listener: hears everything that the source says.
        on_change: called after each change of state.
        turns: where a dial waits for its turn, with its site; None for a camera that dials us.
        wanted_rate: decoded pictures per second that are wanted now.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        liveness: Liveness,
        listener: Listener,
        on_change: Callable[[], None],
        turns: tuple[Turns, str] | None,
        wanted_rate: Callable[[], float],
    ) -> None:
        self._name = name
        self._source = source
        self._liveness = liveness
        self._listener = listener
        self._on_change = on_change
        self._turns = turns
        self._wanted_rate = wanted_rate
        self._timeout: asyncio.Timeout | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._forgiven: float | None = None
        self.attempts = 0
        self.detail = ""
        self.state_time = time.time()

    async def run(self) -> None:
        """Dial until cancelled."""
        if self._liveness.state not in (State.IDLE, State.BACKING_OFF, State.REFUSED):
            # Begun again after an error of ours that cut the last attempt short.
            self._fail(Reason.INTERNAL, "begun again")
        while True:
            if self._liveness.retry_at is not None:
                await asyncio.sleep(max(0.0, self._liveness.retry_at - time.monotonic()))
            if self._turns is not None:
                turns, site = self._turns
                await turns.take(self, site)
            try:
                await self._attempt()
            finally:
                self._leave()

    def stop(self, reason: Reason) -> None:
        """Say that the session is over; the caller cancels `run`."""
        if self._liveness.apply(Event.STOP, time.monotonic(), reason):
            self._changed()

    async def _attempt(self) -> None:
        self.attempts += 1
        self._liveness.apply(Event.DIAL, time.monotonic())
        self._changed()
        try:
            async with asyncio.timeout(None) as self._timeout:
                self._reschedule()
                await self._source.run(self)
            self._fail(Reason.END_OF_STREAM, "the source ended")
        except TimeoutError:
            # Only our own alarm ends here, and has said why: a source turns its errors into a SourceError.
            pass
        except SourceError as failure:
            if failure.reason is Reason.INTERNAL:
                log.exception("optic.failed", optic=self._name)
            self._fail(failure.reason, failure.detail)
        finally:
            self._timeout = None
            self._disarm()

    def _leave(self) -> None:
        if self._turns is not None:
            self._turns[0].leave(self)

    def _fail(self, reason: Reason, detail: str) -> None:
        if self._liveness.fail(reason, time.monotonic()):
            self.detail = detail
            self._changed()

    def _reschedule(self) -> None:
        deadline = self._liveness.deadline
        if deadline is None:
            return
        # A deadline that moves away, as with every picture, is found when the alarm rings.
        if self._alarm is None or deadline + WHISKER < self._alarm.when():
            self._arm(deadline + WHISKER)

    def _arm(self, when: float) -> None:
        self._disarm()
        # asyncio's clock is the monotonic clock.
        self._alarm = asyncio.get_running_loop().call_at(when, self._ring, when)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self, when: float) -> None:
        self._alarm = None
        deadline, now = self._liveness.deadline, time.monotonic()
        if self._timeout is None or deadline is None:
            return
        if now < deadline:
            self._arm(deadline + WHISKER)
        elif now - when > LATE_SECONDS and self._forgiven != deadline:
            # We were held up ourselves, and all cameras with us: what they sent meanwhile is still to be read.
            self._forgiven = deadline
            self._arm(now + GRACE_SECONDS)
        elif self._liveness.expire(now):
            # Told before the source is ended: what it delivers while it ends belongs to the past.
            self.detail = ""
            self._changed()
            self._timeout.reschedule(now)

    def _changed(self) -> None:
        self.state_time = time.time()
        self._on_change()

    def _on_frame(self) -> None:
        if self._liveness.apply(Event.FRAME, time.monotonic()):
            self.detail = ""
            # From here on it costs no more than any other that runs.
            self._leave()
            self._changed()
        self._reschedule()

    def _on_undelivered(self) -> None:
        self._liveness.on_undelivered(time.monotonic())
        self._reschedule()

    def on_connected(self) -> None:
        """See `Listener`."""
        if self._liveness.apply(Event.CONNECTED, time.monotonic()):
            self._changed()
        self._reschedule()
        self._listener.on_connected()

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        self._on_frame()
        self._listener.on_received(pictures, width, height)

    def on_skipped(self, units: int) -> None:
        """See `Listener`."""
        self._liveness.on_skipped(time.monotonic(), self._wanted_rate())
        self._reschedule()
        self._listener.on_skipped(units)

    def on_broken(self, units: int) -> None:
        """See `Listener`."""
        self._liveness.on_broken()
        self._listener.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Listener`."""
        if reason == DECODER_BEHIND:
            self._on_undelivered()
        self._listener.on_dropped(reason, count)

    def on_lost(self, packets: int) -> None:
        """See `Listener`."""
        self._on_undelivered()
        self._listener.on_lost(packets)

    def on_left_out(self, kind: str) -> None:
        """See `Listener`."""
        self._listener.on_left_out(kind)

    def on_clock(self, drift: float) -> None:
        """See `Listener`."""
        self._listener.on_clock(drift)

    def on_held_back(self, optic: str, reason: str, count: int) -> None:
        """See `Listener`."""
        self._listener.on_held_back(optic, reason, count)

    def on_sight(self, optic: str, changes: list[Change]) -> None:
        """See `Listener`."""
        self._listener.on_sight(optic, changes)

    def on_picture(self, optic: str, picture: Picture) -> None:
        """See `Listener`."""
        self._listener.on_picture(optic, picture)
