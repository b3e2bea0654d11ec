"""Large events in PostgreSQL: as they were planned, and how they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from alerting.domain.crowd_events.alarms import Colour, Kind, Memory
from alerting.domain.crowd_events.measures import MINUTE, WINDOW, Crossings, Presence, Readings
from alerting.domain.crowd_events.plan import CrowdEvent, Sector, State
from alerting.store.database import Database
from alerting.store.queries import QUERIES
from mesh.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound
from mesh.postgres import load_queries

CROWD_QUERIES = load_queries("alerting.sql", "crowd_events.sql")

Record = Callable[[Any], Awaitable[None]]
"""Puts a change on record, on its connection; when it raises, nothing happened."""


@dataclass(frozen=True)
class Kept:
    """An event as it is kept; ``definition`` is a serialised message that is opaque here."""

    event_id: str
    state: State
    definition: bytes
    version: int
    create_time: datetime
    update_time: datetime
    close_time: datetime | None


@dataclass(frozen=True)
class SectorState:
    """How a sector was when it was last looked at; ``status`` is a serialised message that is opaque here."""

    sector_id: str
    memory: Memory
    status: bytes
    assess_time: datetime


class CrowdEventStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, event_id: str, definition: bytes, now: datetime, record: Record) -> Kept:
        """Opens an event.

        Raises:
            AlreadyExists: there is one of that id (``CROWD_EVENT_EXISTS``).
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(CROWD_QUERIES["create_crowd_event"], event_id, definition, now)
            if row is None:
                name = f"crowdEvents/{event_id}"
                raise AlreadyExists(f"{name} exists", reason="CROWD_EVENT_EXISTS", metadata={"name": name})
            await record(connection)
        return _kept(row)

    async def get(self, event_id: str) -> Kept:
        """Reads one.

        Raises:
            NotFound: there is none (``CROWD_EVENT_NOT_FOUND``).
        """
        return _found(await self._database.fetchrow(CROWD_QUERIES["get_crowd_event"], event_id), event_id)

    async def list_events(self, after: tuple[datetime, str] | None, limit: int) -> list[Kept]:
        """A page, newest first, after the creation time and id of the last one of the page before."""
        time, event_id = after or (None, "")
        rows = await self._database.fetch(CROWD_QUERIES["list_crowd_events"], time, event_id, limit)
        return [_kept(row) for row in rows]

    async def update(
        self, event_id: str, etag: str, change: Callable[[Kept], tuple[State, bytes]], now: datetime, record: Record
    ) -> Kept:
        """Changes or closes an event that is open.

        Args:
            event_id: which.
            etag: the version that somebody saw; empty: whichever it is.
            change: the new state and definition.
            now: in UTC.
            record: writes the audit entry.

        Raises:
            NotFound: there is none (``CROWD_EVENT_NOT_FOUND``).
            Aborted: it has changed since (``CROWD_EVENT_CHANGED``).
            FailedPrecondition: it is closed (``CROWD_EVENT_CLOSED``).
        """
        async with self._database.transaction() as connection:
            kept = _found(await connection.fetchrow(CROWD_QUERIES["lock_crowd_event"], event_id), event_id)
            metadata = {"name": f"crowdEvents/{event_id}"}
            if etag and etag != f"{kept.version:x}":
                raise Aborted(
                    "the event has changed since you read it", reason="CROWD_EVENT_CHANGED", metadata=metadata
                )
            if kept.state is State.CLOSED:
                raise FailedPrecondition("the event is closed", reason="CROWD_EVENT_CLOSED", metadata=metadata)
            state, definition = change(kept)
            closed = now if state is State.CLOSED else None
            row = await connection.fetchrow(
                CROWD_QUERIES["update_crowd_event"], event_id, int(state), definition, now, closed
            )
            if closed is not None:
                await connection.execute(CROWD_QUERIES["forget_sector_states"], event_id, [])
            await record(connection)
            await connection.execute(QUERIES["notify"], event_id)
        return _kept(row)

    async def open_events(self) -> list[str]:
        """The ids of those that are open."""
        return [row["crowd_event_id"] for row in await self._database.fetch(CROWD_QUERIES["list_open_crowd_events"])]

    async def states(self, event_id: str) -> dict[str, SectorState]:
        """By sector, how it was when it was last looked at."""
        rows = await self._database.fetch(CROWD_QUERIES["list_sector_states"], event_id)
        return {row["sector_id"]: _state(row) for row in rows}

    @asynccontextmanager
    async def taking(self, event_id: str) -> AsyncIterator[Any]:
        """An open event and the connection to write to, for the block; none when another replica has it."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(CROWD_QUERIES["take_crowd_event"], event_id)
            yield None if row is None else (_kept(row), connection)

    async def write_states(self, connection: Any, event_id: str, states: Sequence[SectorState]) -> None:
        """Keeps how sectors are, forgets those that are of the event no more, and tells every replica."""
        rows = [
            (
                event_id,
                state.sector_id,
                int(state.memory.colour),
                [kind.value for kind in state.memory.told],
                list(state.memory.told.values()),
                state.status,
                state.assess_time,
            )
            for state in states
        ]
        await connection.executemany(CROWD_QUERIES["write_sector_state"], rows)
        names = [state.sector_id for state in states]
        await connection.execute(CROWD_QUERIES["forget_sector_states"], event_id, names)
        await connection.execute(QUERIES["notify"], event_id)

    async def read(self, event: CrowdEvent, now: datetime) -> Readings:
        """What was counted at the zones and gates of an event.

        Args:
            event: which.
            now: in UTC; the minute that it is in is the last one of the window.
        """
        end = now.replace(second=0, microsecond=0) + MINUTE
        start = end - WINDOW * MINUTE
        zones = sorted({zone for sector in event.sectors for zone in sector.zones})
        lines = sorted({gate.line for sector in event.sectors for gate in sector.gates})
        presence, crossings = {}, {}
        for row in await self._database.fetch(CROWD_QUERIES["read_presence"], zones, _optics(zones), start, end):
            key = row["zone"], _number(row["minute"], start)
            presence[key] = Presence(row["mean"], row["maximum_density"], row["coverage"])
        for row in await self._database.fetch(CROWD_QUERIES["read_crossings"], lines, _optics(lines), start, end):
            crossings[row["line"], _number(row["minute"], start)] = _crossings(row)
        begin = event.start_time.replace(second=0, microsecond=0)
        sums = await self._database.fetch(CROWD_QUERIES["sum_crossings"], lines, _optics(lines), begin, max(now, begin))
        areas = await self._database.fetch(CROWD_QUERIES["read_areas"], zones)
        return Readings(
            end=now,
            presence=presence,
            crossings=crossings,
            since_start={row["line"]: _crossings(row) for row in sums},
            areas={row["place"]: row["area_square_metres"] for row in areas if row["area_square_metres"] is not None},
        )

    async def sites(self, sectors: Sequence[Sector]) -> dict[str, str]:
        """The site of each zone and line, where it is known."""
        names = [name for sector in sectors for name in (*sector.zones, *(gate.line for gate in sector.gates))]
        rows = await self._database.fetch(CROWD_QUERIES["read_areas"], names)
        return defaultdict(str, {row["place"]: row["site"] for row in rows})


def _kept(row: Any) -> Kept:
    return Kept(
        event_id=row["crowd_event_id"],
        state=State(row["state"]),
        definition=row["definition"],
        version=row["version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        close_time=row["close_time"],
    )


def _found(row: Any, event_id: str) -> Kept:
    if row is None:
        name = f"crowdEvents/{event_id}"
        raise NotFound(f"{name} does not exist", reason="CROWD_EVENT_NOT_FOUND", metadata={"name": name})
    return _kept(row)


def _state(row: Any) -> SectorState:
    told = {Kind(topic): time for topic, time in zip(row["told_topics"], row["told_times"], strict=True)}
    memory = Memory(Colour(row["colour"]), MappingProxyType(told))
    return SectorState(row["sector_id"], memory, row["status"], row["assess_time"])


def _crossings(row: Any) -> Crossings:
    return Crossings(row["left_to_right"], row["right_to_left"], min(1.0, row["coverage"]))


def _optics(places: Sequence[str]) -> list[str]:
    return [place.rsplit("/", 2)[0] for place in places]


def _number(minute: datetime, start: datetime) -> int:
    return (minute - start) // timedelta(minutes=1)
