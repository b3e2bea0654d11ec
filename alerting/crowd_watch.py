"""Looks at every open event again and again: keeps how its sectors are, and tells the control room what to act on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NoReturn

import structlog

from alerting.crowd_event_contracts import alarm, crowd_event, sector_status_message
from alerting.domain.crowd_events.alarms import Finding, Memory, judge
from alerting.domain.crowd_events.measures import assess
from alerting.domain.crowd_events.plan import CrowdEvent
from alerting.domain.events import RuleEvent
from alerting.store.crowd_events import CrowdEventStore, Kept, SectorState
from argo.alerting.v1 import crowd_event_service_pb2 as v1
from mesh.errors import Unavailable

log = structlog.get_logger()

PERIOD_SECONDS: Final = 10.0
"""As often as counts come."""

Raise = Callable[[Sequence[RuleEvent]], Awaitable[None]]


class CrowdWatch:
    """Watches events."""

    def __init__(
        self,
        store: CrowdEventStore,
        tell: Raise,
        *,
        relative_error: float | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Takes what it works with.

        Args:
            store: of the events.
            tell: raises alarms, by the road that the events of rules take.
            relative_error: of the detector's counts, one standard error; none: not known.
            clock: tells the time, in UTC.
        """
        self._store = store
        self._tell = tell
        self._relative_error = relative_error
        self._clock = clock

    async def run(self) -> NoReturn:
        """Watches for ever; a database that is away delays it."""
        while True:
            try:
                await self.once()
            except Unavailable as error:
                log.debug("crowd.watch_delayed", error_reason=error.reason)
            await asyncio.sleep(PERIOD_SECONDS)

    async def once(self) -> None:
        """Looks at every open event that no other replica is looking at.

        Raises:
            Unavailable: the database does not answer.
        """
        for event_id in await self._store.open_events():
            async with self._store.taking(event_id) as taken:
                if taken is not None:
                    kept, connection = taken
                    event = definition_of(kept)
                    if event.start_time <= self._clock():
                        states = await self._look(event)
                        await self._store.write_states(connection, event_id, states)

    async def _look(self, event: CrowdEvent) -> list[SectorState]:
        now = self._clock()
        readings = await self._store.read(event, now)
        before = await self._store.states(event.event_id)
        states, findings = [], []
        for sector in event.sectors:
            status = assess(sector, readings, self._relative_error)
            state = before.get(sector.sector_id)
            memory, colour, found = judge(state.memory if state is not None else Memory(), status)
            message = sector_status_message(status, colour, memory).SerializeToString(deterministic=True)
            states.append(SectorState(sector.sector_id, memory, message, now))
            findings += found
        if findings:
            # Before what is remembered: a crash in between tells it again, and the alarm that is there takes it in.
            await self._tell_all(event, findings)
        return states

    async def _tell_all(self, event: CrowdEvent, findings: Sequence[Finding]) -> None:
        sites = await self._store.sites(event.sectors)
        events = []
        for finding in findings:
            sector = finding.status.sector
            events.append(alarm(event, finding, sites[finding.place], sector.display_name or sector.sector_id))
            log.info(
                "crowd.alarm_told", crowd_event=event.name, sector=sector.sector_id, topic=finding.kind.value,
                value=round(finding.value, 2),
            )  # fmt: skip
        await self._tell(events)


def definition_of(kept: Kept) -> CrowdEvent:
    """An event that was checked when it came."""
    message = v1.CrowdEvent.FromString(kept.definition)
    start = message.start_time.ToDatetime(tzinfo=kept.create_time.tzinfo)
    return crowd_event(message, kept.event_id, start, state=kept.state, version=kept.version)
