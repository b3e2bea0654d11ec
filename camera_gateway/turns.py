"""Lets connections wait for their turn; see `domain.admission`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from camera_gateway.domain.admission import Admission


class Turns:
    """The admission of one process, to be awaited.

    Args:
        admission: who may go.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waiting: dict[Hashable, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, ticket: Hashable, site: str) -> None:
        """Wait for the turn of ``ticket``; it counts until `leave`."""
        turn = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._admission.ask(ticket, site)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            self.leave(ticket)
            raise

    def leave(self, ticket: Hashable) -> None:
        """Connected, failed, or no longer interested; may be said twice."""
        self._waiting.pop(ticket, None)
        self._admission.leave(ticket)
        self._admit()

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        for ticket in self._admission.admit(loop.time()):
            turn = self._waiting.pop(ticket, None)
            if turn is not None and not turn.done():
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._admission.next_turn()) is not None:
            self._timer = loop.call_at(due, self._admit)
