"""Writing what comes at once in one transaction: a burst costs one commit, a single event waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from mesh.errors import Unavailable

T = TypeVar("T")

_Waiting = tuple[Sequence[T], "asyncio.Future[None]"]


class Gatherer(Generic[T]):
    """Takes events, or observations, from many messages; while one transaction is under way, the next one gathers."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]], *, most: int = 2000) -> None:
        """Takes what writes, and how many events one transaction may have at most."""
        self._write = write
        self._most = most
        self._waiting: list[_Waiting[T]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, events: Sequence[T]) -> None:
        """Returns when the events are committed.

        Raises:
            Whatever the writer raised for the transaction that they were in; nothing of it was kept.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((events, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="event-gatherer")
        await done

    async def _work(self) -> None:
        while self._waiting:
            taken = self._next()
            try:
                await self._write_all(taken)
            except asyncio.CancelledError:
                for _, done in taken:
                    done.cancel()
                raise

    async def _write_all(self, taken: Sequence[_Waiting[T]]) -> None:
        try:
            await self._write([event for events, _ in taken for event in events])
        except Exception as error:  # noqa: BLE001 - handed to those who wait for it
            if len(taken) == 1 or isinstance(error, Unavailable):
                _settle(taken, error)
                return
            # One message that cannot be written must not hold up the others.
            for one in taken:
                await self._write_all([one])
        else:
            _settle(taken, None)

    def _next(self) -> list[_Waiting[T]]:
        taken: list[_Waiting[T]] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0][0]) <= self._most):
            taken.append(self._waiting.pop(0))
            count += len(taken[-1][0])
        return taken


def _settle(taken: Sequence[_Waiting[T]], error: Exception | None) -> None:
    for _, done in taken:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
