"""Hearing of changes: PostgreSQL's NOTIFY wakes the watchers of this replica, whichever replica made the change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog

from alerting.store.database import Database
from alerting.store.queries import CHANGES_CHANNEL
from mesh.errors import ResourceExhausted
from mesh.postgres import UNAVAILABLE

log = structlog.get_logger()

_RETRY_SECONDS = 1.0


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Waits for an event; false when it did not happen in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class ChangeSignal:
    """Wakes watchers. They look into the database themselves, so a lost notification costs time and never a change."""

    def __init__(self, database: Database, *, maximum_watches: int) -> None:
        self._database = database
        self._maximum = maximum_watches
        self._watchers: set[asyncio.Event] = set()
        self._attendants: set[asyncio.Event] = set()
        self.closed = False

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change, for the block.

        Raises:
            ResourceExhausted: as many watches are open as may be (``TOO_MANY_WATCHES``).
        """
        if len(self._watchers) >= self._maximum:
            raise ResourceExhausted("too many watches are open", reason="TOO_MANY_WATCHES", retry_after=10.0)
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            yield changed
        finally:
            self._watchers.discard(changed)

    @contextmanager
    def attend(self) -> Iterator[asyncio.Event]:
        """The same for a part of the service itself, which is always let in."""
        changed = asyncio.Event()
        self._attendants.add(changed)
        try:
            yield changed
        finally:
            self._attendants.discard(changed)

    async def listen(self) -> NoReturn:
        """Listens for ever, over restarts of the database."""
        while True:
            try:
                await self._listen_once()
            except UNAVAILABLE:
                log.debug("changes.listener_interrupted")
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Wakes everybody for the last time: the service stops."""
        self.closed = True
        self._wake()

    async def _listen_once(self) -> None:
        lost = asyncio.Event()

        def heard(*_notification: object) -> None:
            self._wake()

        async with self._database.pool.acquire() as connection:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANGES_CHANNEL, heard)
            try:
                # Whatever happened while nobody listened.
                self._wake()
                await lost.wait()
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANGES_CHANNEL, heard)

    def _wake(self) -> None:
        for changed in self._watchers | self._attendants:
            changed.set()
