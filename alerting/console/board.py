"""Keeps what the console knows of the optics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from alerting.clients import GatewayClient, RegistryClient
from alerting.domain.board import Place, Row, Session, board
from alerting.domain.neighbourhood import Neighbourhood
from alerting.domain.roster import Roster
from alerting.store.coverage import CoverageStore
from mesh.errors import ArgoError

log = structlog.get_logger()

WINDOW = timedelta(minutes=5)
_MAXIMUM_OPTICS = 10_000
_RETRY_SECONDS = 2.0
_START_ATTEMPTS = 15


class Board:
    """Follows the registry and the gateway. When the gateway is silent, every optic is unknown, whatever it was."""

    def __init__(
        self,
        registry: RegistryClient,
        gateway: GatewayClient,
        coverage: CoverageStore,
        clock: Callable[[], datetime],
        roster: Roster | None = None,
        neighbourhood: Neighbourhood | None = None,
    ) -> None:
        self._neighbourhood = neighbourhood or Neighbourhood(0.0)
        self._roster = roster or Roster()
        self._registry = registry
        self._gateway = gateway
        self._coverage = coverage
        self._clock = clock
        self._places: list[Place] = []
        self._sessions: dict[str, Session] = {}

    async def follow_registry(self, period_seconds: float = 10.0) -> NoReturn:
        """Reads the names again and again, for ever; the last ones known stay while the registry is away."""
        while True:
            try:
                self._places = await self._registry.list_places()
                self._neighbourhood.update(await self._registry.list_points())
                self._roster.update((place.optic for place in self._places), self._clock())
            except ArgoError as error:
                log.debug("console.registry_unread", error_reason=error.reason)
            await asyncio.sleep(period_seconds if self._places else _RETRY_SECONDS)

    async def follow_gateway(self) -> NoReturn:
        """Follows the sessions for ever."""
        # While everything starts, the gateway may be the last.
        patience = _START_ATTEMPTS
        while True:
            try:
                async for change in self._gateway.watch():
                    patience = 1
                    self._sessions.update((session.optic, session) for session in change.sessions)
                    for optic in change.ended:
                        self._sessions.pop(optic, None)
            except ArgoError as error:
                patience -= 1
                if patience == 0:
                    log.warning("console.gateway_lost", error_reason=error.reason)
            self._sessions.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    async def rows(self) -> list[Row]:
        """The board as it is now.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._clock()
        ledger = await self._coverage.list_coverage(now - WINDOW, now, limit=_MAXIMUM_OPTICS)
        return board(self._places, self._sessions, ledger, WINDOW)
