"""Observations in PostgreSQL: running tracks in a small table that is written again and again, ended ones by day."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final

import asyncpg

from alerting.domain.observations import SILENCE, Observation, days_to_make
from alerting.store.database import Database
from mesh.postgres import load_queries

QUERIES: Final = load_queries("alerting.sql", "observations.sql")
COLUMNS: Final = (
    "start_time", "end_time", "expire_time", "track", "observer", "still_seconds", "heading", "leaving", "speed_low",
    "speed_high", "colour_confidence", "from_x", "from_y", "to_x", "to_y", "object_class", "colour", "finished",
    "places", "payload",
)  # fmt: skip
MOST_GATHERED: Final = 20_000
"""Observations of many messages that go in one transaction: what a commit costs is shared."""
_COPIED: Final = 64
"""From so many rows on COPY is cheaper than statements one by one."""
_SETTLED: Final = 1000

_TRACK: Final = COLUMNS.index("track")
_OBSERVER: Final = COLUMNS.index("observer")
_BY_OBSERVER: Final = itemgetter(_OBSERVER)
_BY_KEY: Final = itemgetter(_OBSERVER, COLUMNS.index("start_time"), _TRACK)

Key = tuple[str, str]
Row = tuple[Any, ...]
WriteRows = Callable[[Any, Sequence[Row]], Awaitable[None]]


@dataclass(frozen=True)
class Written:
    """What became of observations.

    Attributes:
        kept: of different tracks.
        late: those that had reached seven days before they came.
    """

    kept: int
    late: int


class ObservationStore:
    """Where the consumer writes. Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._observers: dict[Key, int] = {}
        self._days: set[date] = set()

    async def write(self, observations: Sequence[Observation], now: datetime) -> Written:
        """Keeps what tracks did, in one transaction; a later report of a track replaces an earlier one.

        Args:
            observations: in the order in which they came, of any optics.
            now: in UTC.
        """
        latest = _latest(observations)
        timely = [item for item in latest if item.expire_time > now]
        if timely:
            await self.know_observers({(item.optic, item.site) for item in timely})
            await self._make_days({item.day for item in timely})
            await self._write(timely, now)
        return Written(len(timely), len(latest) - len(timely))

    async def prepare_days(self, now: datetime) -> None:
        """Makes the partitions of today and tomorrow ahead of the first observation."""
        await self._make_days(set(days_to_make(now)))

    async def settle(self, now: datetime) -> int:
        """Puts tracks of which nothing is heard any more among the ended ones; how many."""
        settled = 0
        while True:
            async with self._database.transaction() as connection:
                rows = await connection.fetch(QUERIES["take_silent"], now - SILENCE, _SETTLED, now)
                for day in {row["start_time"].date() for row in rows}:
                    await connection.execute(QUERIES["ensure_day"], day)
                values = [tuple(row[column] for column in COLUMNS) for row in rows]
                await connection.executemany(QUERIES["upsert_finished"], values)
            settled += len(rows)
            if len(rows) < _SETTLED:
                return settled

    async def _write(self, observations: Sequence[Observation], now: datetime) -> None:
        # In the order of the index a row costs a quarter less, and replicas take the locks of rows in the same order.
        ended = sorted((self.row(item) for item in observations if item.finished), key=_BY_OBSERVER)
        running = sorted(((*self.row(item), now) for item in observations if not item.finished), key=_BY_KEY)
        if len(ended) >= _COPIED:
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await self._write_rows(ended, running, _copy)
                return
        # There are few, or a message came again: this way bears that.
        await self._write_rows(ended, running, _upsert)

    async def _write_rows(self, ended: Sequence[Row], running: Sequence[Row], write_ended: WriteRows) -> None:
        async with self._database.transaction() as connection:
            if ended:
                await write_ended(connection, ended)
                tracks = [row[_OBSERVER] for row in ended], [row[_TRACK] for row in ended]
                await connection.execute(QUERIES["end_running"], *tracks)
            if running:
                await connection.executemany(QUERIES["upsert_running"], running)

    def row(self, item: Observation) -> Row:
        """The values of ``COLUMNS``, of an optic and site that were written before."""
        features = item.features
        return (
            item.start_time, item.end_time, item.expire_time, item.track, self._observers[item.optic, item.site],
            features.still_seconds, features.heading, features.leaving, features.speed_low, features.speed_high,
            item.colour_confidence, *(features.first or (None, None)), *(features.last or (None, None)),
            item.object_class, item.colour, item.finished, item.places, item.payload,
        )  # fmt: skip

    async def know_observers(self, wanted: set[Key]) -> None:
        """Learns the numbers of optics with their sites, and gives them one if they have none."""
        unknown = sorted(wanted - self._observers.keys())
        if unknown:
            columns = [[optic for optic, _site in unknown], [site for _optic, site in unknown]]
            # On its own, so that what is remembered is committed, whatever becomes of the observations.
            await self._database.execute(QUERIES["write_observers"], *columns)
            rows = await self._database.fetch(QUERIES["read_observers"], *columns)
            self._observers |= {(row["optic"], row["site"]): row["observer"] for row in rows}

    async def _make_days(self, days: set[date]) -> None:
        for day in sorted(days - self._days):
            await self._database.execute(QUERIES["ensure_day"], day)
            self._days.add(day)


def _latest(observations: Sequence[Observation]) -> Sequence[Observation]:
    """One report per track: one statement cannot touch a row twice, and of two the later one is enough."""
    if len({item.track for item in observations}) == len(observations):
        return observations
    latest: dict[tuple[str, str, int, datetime], Observation] = {}
    for item in observations:
        key = (item.optic, item.site, item.track, item.start_time)
        before = latest.get(key)
        if before is None or (before.finished, before.end_time) <= (item.finished, item.end_time):
            latest[key] = item
    return list(latest.values())


async def _copy(connection: Any, rows: Sequence[Row]) -> None:
    await connection.copy_records_to_table("observation_days", records=rows, columns=COLUMNS)


async def _upsert(connection: Any, rows: Sequence[Row]) -> None:
    await connection.executemany(QUERIES["upsert_finished"], rows)
