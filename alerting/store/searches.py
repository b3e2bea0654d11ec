"""Searches in PostgreSQL: what there is to look at, how often somebody has looked, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.search.memberships import alike_classes, alike_colours
from alerting.domain.search.query import Query, Sighting, Track
from alerting.store.database import Database
from mesh.errors import ResourceExhausted
from mesh.postgres import load_queries

SEARCH_QUERIES: Final = load_queries("alerting.sql", "search.sql")

Observers = Mapping[int, tuple[str, str]]
"""Optics with the sites where they stood, by number."""


@dataclass(frozen=True)
class Started:
    """A search that somebody begins.

    Attributes:
        search_id: the last segment of its name ``searches/{search_id}``.
        actor: identity path of who searches.
        person: the same person in every role.
        case: reference of the proceeding.
        fingerprint: of what is asked for, 32 bytes.
    """

    search_id: str
    actor: str
    person: str
    case: str
    fingerprint: bytes


@dataclass(frozen=True)
class Kept:
    """What is kept of a search that has found something.

    Attributes:
        actor: who searched.
        case: reference of the proceeding.
        fingerprint: of what was asked for.
        read_until: until when its pages can be read; none: it was refused.
        total: of its results.
        summary: the serialised answer without its matches; opaque here.
    """

    actor: str
    case: str
    fingerprint: bytes
    read_until: datetime | None
    total: int
    summary: bytes


@dataclass(frozen=True)
class Result:
    """A match or a chain.

    Attributes:
        expire_time: when it is erased.
        payload: serialised; opaque here.
    """

    expire_time: datetime
    payload: bytes


class SearchStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def observers(self) -> Observers:
        """Everywhere that anything was observed from."""
        rows = await self._database.fetch(SEARCH_QUERIES["list_observers"])
        return {row["observer"]: (row["optic"], row["site"]) for row in rows}

    async def tracks(
        self, query: Query, sighting: Sighting, observers: Observers, now: datetime, limit: int
    ) -> list[Track]:
        """What may fit a sighting, in no order; at most ``limit``."""
        places = [place for _optic, place in sighting.movement.places]
        rows = await self._database.fetch(
            SEARCH_QUERIES["find_tracks"], list(observers), sighting.earliest, sighting.latest,
            sorted(alike_classes(query.classes)), sorted(alike_colours(query.colours)), places, limit, now,
        )  # fmt: skip
        # A track that has just ended may still be among the running ones: the first one found counts.
        found: dict[tuple[str, datetime, int], Track] = {}
        for row in rows:
            optic, site = observers[row[0]]
            values: Any = (*tuple(row)[1:-1], tuple(row["places"]))
            track = Track(optic, site, *values)
            found.setdefault(track.key, track)
        return list(found.values())

    async def paths(self, tracks: Sequence[Track], observers: Observers) -> dict[tuple[str, datetime, int], bytes]:
        """The serialised observations of tracks, by their keys; one that has gone meanwhile is left out."""
        numbers = {place: number for number, place in observers.items()}
        rows = await self._database.fetch(
            SEARCH_QUERIES["read_paths"],
            [numbers[track.optic, track.site] for track in tracks],
            [track.start_time for track in tracks],
            [track.track for track in tracks],
        )
        return {(observers[row["observer"]][0], row["start_time"], row["track"]): row["payload"] for row in rows}

    async def events(self, optics: Collection[str], since: datetime, until: datetime) -> list[bytes]:
        """The serialised events of live rules of some optics in a time."""
        rows = await self._database.fetch(SEARCH_QUERIES["find_events"], sorted(optics), since, until)
        return [row["payload"] for row in rows]

    async def begin(self, started: Started, now: datetime, *, most: int, window: timedelta) -> None:
        """Notes that somebody searches.

        Raises:
            ResourceExhausted: one person has searched ``most`` times within ``window`` for one case
                (``TOO_MANY_SEARCHES``).
        """
        async with self._database.transaction() as connection:
            await connection.execute(SEARCH_QUERIES["lock_person"], started.person)
            row = await connection.fetchrow(
                SEARCH_QUERIES["count_searches"], started.person, started.case, now - window
            )
            if row["searches"] >= most:
                raise ResourceExhausted(
                    f"more than {most} searches for one case within {window.total_seconds() / 3600:g} h",
                    reason="TOO_MANY_SEARCHES",
                    metadata={"maximum": str(most)},
                    retry_after=max(1.0, (row["first"] + window - now).total_seconds()),
                )
            await connection.execute(
                SEARCH_QUERIES["write_search"], started.search_id, started.actor, started.person, started.case,
                started.fingerprint, now,
            )  # fmt: skip

    async def finish(self, search_id: str, results: Sequence[Result], summary: bytes, read_until: datetime) -> None:
        """Keeps what was found, in its order, for the pages."""
        async with self._database.transaction() as connection:
            await connection.execute(SEARCH_QUERIES["finish_search"], search_id, read_until, len(results), summary)
            columns: list[list[Any]] = [
                list(range(len(results))),
                [min(result.expire_time, read_until) for result in results],
                [result.payload for result in results],
            ]
            await connection.execute(SEARCH_QUERIES["write_results"], search_id, *columns)

    async def read(self, search_id: str) -> Kept | None:
        """What is kept of a search; none: there is none."""
        row = await self._database.fetchrow(SEARCH_QUERIES["read_search"], search_id)
        if row is None:
            return None
        return Kept(
            row["actor"],
            row["case_reference"],
            row["fingerprint"],
            row["read_until"],
            row["total"],
            row["summary"] or b"",
        )

    async def results(self, search_id: str, first: int, limit: int, now: datetime) -> list[tuple[int, bytes]]:
        """Results with their ranks from ``first`` on, fewer than ``limit`` where some have been erased."""
        rows = await self._database.fetch(SEARCH_QUERIES["read_results"], search_id, first, first + limit, now)
        return [(row["rank"], row["payload"]) for row in rows]
