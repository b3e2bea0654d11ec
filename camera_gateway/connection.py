"""Keeps one optic's source running: dials, watches the deadlines, backs off, dials again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from camera_gateway.domain.liveness import Event, Liveness, Reason, State
from camera_gateway.sources import Listener, Picture, Source, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

REMINDER_SECONDS = 300.0
"""How often a camera that stays away is mentioned again."""


class Connection:
    """Drives a source under a liveness machine, for as long as `run` is not cancelled.

    Args:
        optic: resource name, for the log.
        source: what is dialled.
        liveness: the machine.
        listener: hears everything that the source says.
        on_change: called after each change of state.
    """

    def __init__(
        self, optic: str, source: Source, liveness: Liveness, listener: Listener, on_change: Callable[[], None]
    ) -> None:
        self._optic = optic
        self._source = source
        self._liveness = liveness
        self._listener = listener
        self._on_change = on_change
        self._timeout: asyncio.Timeout | None = None
        self._reminded = float("-inf")
        self.attempts = 0
        self.detail = ""
        self.state_time = time.time()

    async def run(self) -> None:
        """Dial until cancelled."""
        if self._liveness.state not in (State.IDLE, State.BACKING_OFF, State.REFUSED):
            # Begun again after an error of ours that cut the last attempt short.
            self._fail(Reason.INTERNAL, "begun again")
        while True:
            await self._attempt()
            if self._liveness.retry_at is not None:
                await asyncio.sleep(max(0.0, self._liveness.retry_at - time.monotonic()))

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
            # Only our own deadline ends here: a source turns its errors into a SourceError.
            self._expire()
        except SourceError as failure:
            if failure.reason is Reason.INTERNAL:
                log.exception("optic.failed", optic=self._optic)
            self._fail(failure.reason, failure.detail)
        finally:
            self._timeout = None

    def _expire(self) -> None:
        if self._liveness.expire(time.monotonic()):
            self.detail = ""
            self._changed()
        else:
            self._fail(Reason.INTERNAL, "the deadline came before its time")

    def _fail(self, reason: Reason, detail: str) -> None:
        self.detail = detail
        if self._liveness.fail(reason, time.monotonic()):
            self._changed()

    def _reschedule(self) -> None:
        deadline = self._liveness.deadline
        if self._timeout is None:
            return
        # asyncio's clock is the monotonic clock; a whisker more, so that the machine sees its deadline passed.
        self._timeout.reschedule(None if deadline is None else deadline + 0.01)

    def _changed(self) -> None:
        self.state_time = time.time()
        self._log()
        self._on_change()

    def _log(self) -> None:
        state, reason = self._liveness.state, self._liveness.reason
        if state is State.STREAMING:
            self._reminded = float("-inf")
            log.info("camera.connected", optic=self._optic, attempts=self.attempts)
        elif state in (State.BACKING_OFF, State.REFUSED) and reason is not None:
            now = time.monotonic()
            if now - self._reminded >= REMINDER_SECONDS:
                self._reminded = now
                log.warning(
                    "camera.lost",
                    optic=self._optic,
                    reason=reason.value,
                    detail=self.detail,
                    failures=self._liveness.failures,
                    retry_seconds=round((self._liveness.retry_at or now) - now, 1),
                )

    def on_connected(self) -> None:
        """See `Listener`."""
        if self._liveness.apply(Event.CONNECTED, time.monotonic()):
            self._changed()
        self._reschedule()
        self._listener.on_connected()

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        if self._liveness.apply(Event.FRAME, time.monotonic()):
            self.detail = ""
            self._changed()
        self._reschedule()
        self._listener.on_received(pictures, width, height)

    def on_broken(self, units: int) -> None:
        """See `Listener`."""
        self._liveness.on_broken()
        self._listener.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Listener`."""
        self._listener.on_dropped(reason, count)

    def on_picture(self, picture: Picture) -> None:
        """See `Listener`."""
        self._listener.on_picture(picture)
