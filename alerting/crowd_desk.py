"""Where large events are planned, changed, closed and followed; every look and every change is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting import contracts
from alerting.crowd_event_contracts import crowd_event, crowd_event_message
from alerting.crowd_watch import definition_of
from alerting.domain import tokens
from alerting.domain.audience import Audience
from alerting.domain.crowd_events.plan import State
from alerting.domain.retention import RETENTION
from alerting.domain.tokens import invalid
from alerting.records import Records
from alerting.signals import ChangeSignal, happens
from alerting.store.crowd_events import CrowdEventStore, Kept
from argo.alerting.v1 import crowd_event_service_pb2 as v1
from mesh.errors import Unavailable


@dataclass(frozen=True)
class Asked:
    """Who asks, and why."""

    audience: Audience
    reason: str


class CrowdDesk:
    """Every method raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self,
        store: CrowdEventStore,
        records: Records,
        signal: ChangeSignal,
        *,
        bookmark_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._records = records
        self._signal = signal
        self._bookmark_seconds = bookmark_seconds
        self._clock = clock

    async def create(self, asked: Asked, event_id: str, planned: v1.CrowdEvent) -> v1.CrowdEvent:
        """Opens an event.

        Raises:
            InvalidArgument: it cannot be watched.
            AlreadyExists: there is one of that id (``CROWD_EVENT_EXISTS``).
        """
        now = self._clock()
        start = contracts.time_of(planned, "start_time") if planned.HasField("start_time") else now
        if start < now - RETENTION:
            raise invalid("start_time", "must be at most seven days ago: older counts are erased")
        event = crowd_event(planned, event_id, start)
        definition = crowd_event_message(event).SerializeToString(deterministic=True)

        async def record(connection: Any) -> None:
            await self._records.change(connection, asked.audience.actor, f"{event.name}, opened", asked.reason)

        return message_of(await self._store.create(event_id, definition, now, record))

    async def get(self, asked: Asked, event_id: str) -> v1.CrowdEvent:
        """Reads one. Raises ``NotFound`` (``CROWD_EVENT_NOT_FOUND``)."""
        kept = await self._store.get(event_id)
        await self._records.reading(asked.audience, f"crowdEvents/{event_id}", asked.reason)
        return message_of(kept)

    async def list_events(self, asked: Asked, page: tuple[int, str]) -> tuple[list[v1.CrowdEvent], str]:
        """A page, newest first, and the token of the next one.

        Raises:
            InvalidArgument: the size or the token is wrong.
        """
        limit = tokens.page_size(page[0])
        found = await self._store.list_events(tokens.decode_place(page[1]), limit + 1)
        kept, more = found[:limit], len(found) > limit
        await self._records.reading(asked.audience, f"crowdEvents/-, {len(kept)}", asked.reason)
        token = tokens.encode_place(kept[-1].create_time, kept[-1].event_id) if more else ""
        return [message_of(item) for item in kept], token

    async def update(self, asked: Asked, event_id: str, planned: v1.CrowdEvent) -> v1.CrowdEvent:
        """Changes an event that is open.

        Raises:
            InvalidArgument, NotFound, Aborted, FailedPrecondition: see ``CrowdEventStore.update``.
        """

        def change(kept: Kept) -> tuple[State, bytes]:
            event = crowd_event(planned, event_id, definition_of(kept).start_time)
            return State.OPEN, crowd_event_message(event).SerializeToString(deterministic=True)

        async def record(connection: Any) -> None:
            what = f"crowdEvents/{event_id}, changed"
            await self._records.change(connection, asked.audience.actor, what, asked.reason)

        return message_of(await self._store.update(event_id, planned.etag, change, self._clock(), record))

    async def close(self, asked: Asked, event_id: str) -> v1.CrowdEvent:
        """Ends the watching of an event; of one that is closed nothing changes."""
        kept = await self._store.get(event_id)
        if kept.state is State.CLOSED:
            return message_of(kept)

        async def record(connection: Any) -> None:
            await self._records.change(
                connection, asked.audience.actor, f"crowdEvents/{event_id}, closed", asked.reason
            )

        def change(kept: Kept) -> tuple[State, bytes]:
            return State.CLOSED, kept.definition

        return message_of(await self._store.update(event_id, "", change, self._clock(), record))

    async def watch(self, asked: Asked, event_id: str) -> AsyncIterator[v1.WatchCrowdEventResponse]:
        """How an event is, at once and after every change, until it is closed.

        Raises:
            NotFound: there is none (``CROWD_EVENT_NOT_FOUND``).
            ResourceExhausted: too many watches are open (``TOO_MANY_WATCHES``).
            Unavailable: the service stops (``SHUTTING_DOWN``).
        """
        await self._store.get(event_id)
        sent: bytes | None = None
        with self._signal.subscribe() as stirred:
            await self._records.reading(asked.audience, f"crowdEvents/{event_id}, watch", asked.reason)
            while not self._signal.closed:
                stirred.clear()
                response = await self._now(event_id)
                content = response.SerializeToString(deterministic=True)
                if content != sent:
                    sent = content
                    yield response
                if response.crowd_event.state == v1.CrowdEvent.STATE_CLOSED:
                    return
                await happens(stirred, self._bookmark_seconds)
        raise Unavailable("the service stops: go on elsewhere", reason="SHUTTING_DOWN", retry_after=1.0)

    async def _now(self, event_id: str) -> v1.WatchCrowdEventResponse:
        event = message_of(await self._store.get(event_id))
        states = await self._store.states(event_id)
        sectors = [
            v1.SectorStatus.FromString(states[sector.id].status)
            if sector.id in states
            else v1.SectorStatus(sector=sector.id)
            for sector in event.sectors
        ]
        return v1.WatchCrowdEventResponse(crowd_event=event, sectors=sectors)


def message_of(kept: Kept) -> v1.CrowdEvent:
    """An event as the contract shows it."""
    message = crowd_event_message(definition_of(kept))
    message.create_time.FromDatetime(kept.create_time)
    message.update_time.FromDatetime(kept.update_time)
    if kept.close_time is not None:
        message.close_time.FromDatetime(kept.close_time)
    return message
