"""Keeps one source running: waits for its turn, dials, watches the deadlines, backs off, dials again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from camera_gateway.domain.liveness import Event, Liveness, Reason, State
from camera_gateway.sources import Listener, Picture, Source, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from camera_gateway.domain.sight import Change
    from camera_gateway.turns import Turns

log = structlog.get_logger(__name__)


class Connection:
    """Drives a source under a liveness machine, for as long as `run` is not cancelled.

    Args:
        name: of the stream, for the log.
        source: what is dialled.
        liveness: the machine.
        listener: hears everything that the source says.
        on_change: called after each change of state.
        turns: where a dial waits for its turn, with its site; None for a camera that dials us.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        liveness: Liveness,
        listener: Listener,
        on_change: Callable[[], None],
        turns: tuple[Turns, str] | None,
    ) -> None:
        self._name = name
        self._source = source
        self._liveness = liveness
        self._listener = listener
        self._on_change = on_change
        self._turns = turns
        self._timeout: asyncio.Timeout | None = None
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
            # Only our own deadline ends here: a source turns its errors into a SourceError.
            self._expire()
        except SourceError as failure:
            if failure.reason is Reason.INTERNAL:
                log.exception("optic.failed", optic=self._name)
            self._fail(failure.reason, failure.detail)
        finally:
            self._timeout = None

    def _leave(self) -> None:
        if self._turns is not None:
            self._turns[0].leave(self)

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
        self._on_change()

    def _on_frame(self) -> None:
        if self._liveness.apply(Event.FRAME, time.monotonic()):
            self.detail = ""
            # From here on it costs no more than any other that runs.
            self._leave()
            self._changed()
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
        """See `Listener`; a sign of life, but never the first."""
        if self._liveness.state is State.STREAMING:
            self._on_frame()
        self._listener.on_skipped(units)

    def on_broken(self, units: int) -> None:
        """See `Listener`."""
        self._liveness.on_broken()
        self._listener.on_broken(units)

    def on_dropped(self, reason: str, count: int) -> None:
        """See `Listener`."""
        self._listener.on_dropped(reason, count)

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
