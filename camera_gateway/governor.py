"""Shares out the analysis among the optics of this process when there is not enough computing power for all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from camera_gateway.domain.sharing import OVERLOADED, UNLIMITED, Budget, Claim, Load, share

if TYPE_CHECKING:
    from camera_gateway.fleet import Fleet
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.session import OpticSession

log = structlog.get_logger(__name__)

PERIOD: Final = 1.0
"""Seconds between two decisions: a few pictures of each optic."""
LINGER: Final = 3.0
"""Seconds for which an optic that came to rest still claims the rate of a moving one."""
HEADROOM: Final = 1.5
"""Above the measured rate of a camera, so that one which becomes faster shows it."""


class Governor:
    """Decides every second.

    Args:
        fleet: the sessions.
        metrics: of the process.
    """

    def __init__(self, fleet: Fleet, metrics: GatewayMetrics) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._budget = Budget()
        self._since = 0.0
        metrics.analysis_budget.set(UNLIMITED)

    async def run(self) -> None:
        """Decide until cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(PERIOD)
            now = time.monotonic()
            self.decide(now - before, now)
            before = now

    def decide(self, seconds: float, now: float) -> None:
        """A period of ``seconds`` is over at ``now``, monotonic."""
        sessions = self._fleet.sessions
        load, claims = Load(), []
        for session in sessions:
            own, came = session.tally.take_load()
            load += own
            claims.append(_claim(session, came / seconds, now))
        changed = self._budget.on_period(load, seconds, claims, now)
        self._metrics.analysis_budget.set(self._budget.rate)
        overloaded = self._budget.state in OVERLOADED
        shares = share(claims, self._budget.rate) if overloaded else {}
        for session in sessions:
            session.attention.allowance.rate = shares.get(session.optic, UNLIMITED)
        if changed:
            self._tell(load, claims, now)

    def _tell(self, load: Load, claims: list[Claim], now: float) -> None:
        if self._budget.state in OVERLOADED:
            self._since = now
            log.warning(
                "overload.began",
                optics=len(claims),
                offered=load.offered,
                strained=load.strained,
                wanted=round(sum(claim.wanted for claim in claims), 1),
                budget=round(self._budget.rate, 1),
            )
        else:
            log.info("overload.ended", seconds=round(now - self._since, 1))


def _claim(session: OpticSession, arriving: float, now: float) -> Claim:
    moving = now < session.attention.moving_until + LINGER
    return session.pace.claim(session.optic, moving=moving, arriving=HEADROOM * arriving)
