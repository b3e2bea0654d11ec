"""Publishes each interval once, when it is complete and everything that came for it was counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NoReturn

import structlog

from alerting.domain.flows import grid, release
from alerting.flow_consumer import Progress
from alerting.store.open_flows import OpenFlowStore
from mesh.errors import Unavailable

log = structlog.get_logger()

PERIOD_SECONDS: Final = 10.0
QUIET: Final = timedelta(minutes=2)
"""A bus that is there and has brought nothing for so long has nothing more to bring."""


class FlowRelease:
    """Publishes what everybody may see. What comes for an interval afterwards is never published."""

    def __init__(
        self,
        store: OpenFlowStore,
        progress: Progress,
        *,
        base: timedelta,
        grace: timedelta,
        relative_error: float | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Takes what it works with.

        Args:
            store: of what is published.
            progress: how far the counts have come.
            base: the shortest interval: 5, 15 or 60 minutes.
            grace: how long after its end an interval waits for what is late.
            relative_error: of the detector's counts, one standard error; none: not known.
            clock: tells the time, in UTC.
        """
        self._store = store
        self._progress = progress
        self._base = grid.checked(base)
        self._grace = grace
        self._decide = partial(release.publish, relative_error=relative_error)
        self._clock = clock

    async def run(self, connected: Callable[[], bool]) -> NoReturn:
        """Publishes for ever. A bus that is away, or a database, delays it."""
        while True:
            try:
                await self.once(connected=connected())
            except Unavailable as error:
                log.debug("flows.release_delayed", error_reason=error.reason)
            await asyncio.sleep(PERIOD_SECONDS)

    async def once(self, *, connected: bool) -> None:
        """Publishes every interval that is due.

        Args:
            connected: whether the bus is there.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._clock()
        if not connected:
            self._progress.wait(now)
        await self._store.begin(grid.ceiling(now, self._base))
        reached = self._progress.reached(now, QUIET)
        until = min(now, reached) - self._grace
        while (released := await self._store.release(self._base, until, self._decide, now)) is not None:
            log.info("flows.released", start_time=released.start.isoformat(), published=released.published)
