"""The history in PostgreSQL: every version of every record, kept by triggers and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mesh.errors import NotFound
from mesh.postgres import Pool, load_queries
from registry.database import borrowed
from registry.domain.names import ancestor

_QUERIES = load_queries("registry.sql", "history.sql")
_LISTS: Mapping[str, str] = {"devices": "revisions_of_device", "optics": "revisions_of_optic"}
"""The queries of what has records below it, by collection; all else is listed alone."""


@dataclass(frozen=True)
class Change:
    """One version of one record.

    Attributes:
        sequence: number of the change, over all records.
        collection: ``sites``, ``rules`` and so on; ``admissions`` and ``scenes`` bear the names of device and optic.
        name: of the record.
        version: of the record, from 1.
        author: identity path; empty: time alone, or somebody at the database.
        approver: of the second person; empty: none was needed.
        reason: in the author's words.
        time: when.
        controller: ``controllers/{controller}`` whose record it was; empty: unknown.
        record: the row in JSON, as it was then, perhaps with other columns than today; None: deleted.
    """

    sequence: int
    collection: str
    name: str
    version: int
    author: str
    approver: str
    reason: str
    time: datetime
    controller: str
    record: str | None


@dataclass(frozen=True)
class Instant:
    """A point in the history.

    Attributes:
        sequence: number of the last change before it.
        time: when, aware.
    """

    sequence: int
    time: datetime


class HistoryStore:
    """Reads the history. All methods raise ``Unavailable`` when PostgreSQL is away."""

    def __init__(self, pool: Pool) -> None:
        """Takes a pool on the registry's migrated schema."""
        self._pool = pool

    async def present(self) -> Instant:
        """Now, by the clock of the database that timed the changes."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_QUERIES["present"])
            return Instant(row["sequence"], row["now"])

    async def instant_of_time(self, time: datetime) -> Instant:
        """A point in the history by its time."""
        async with borrowed(self._pool) as connection:
            return Instant(await connection.fetchval(_QUERIES["number_at"], time), time)

    async def instant_of_change(self, sequence: int) -> Instant:
        """The point just after a change.

        Raises:
            NotFound: there is no change of that number.
        """
        async with borrowed(self._pool) as connection:
            time = await connection.fetchval(_QUERIES["time_of"], sequence)
        if time is None:
            said = f"there is no version {sequence}"
            raise NotFound(said, reason="VERSION_NOT_FOUND", metadata={"version": str(sequence)})
        return Instant(sequence, time)

    async def around_optic(self, optic: str, instant: Instant) -> list[Change]:
        """The last versions of an optic, its device, and all that hangs on these two, deletions included."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(_QUERIES["records_at"], ancestor(optic, 1), optic, instant.sequence)
        return [_change(row) for row in rows]

    async def record(self, collection: str, name: str, instant: Instant) -> Change | None:
        """The last version of one record; None: it was not there yet."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_QUERIES["record_at"], collection, name, instant.sequence)
        return _change(row) if row is not None else None

    async def revisions(
        self, name: str, before: int, collections: Sequence[str], sight: str | None, limit: int
    ) -> list[Change]:
        """Changes of a record and of those below it, newest first.

        Args:
            name: of the record.
            before: only changes with smaller numbers.
            collections: only of these.
            sight: whose records may be seen, see ``tenancy.visible_to``.
            limit: at most so many.
        """
        query = _QUERIES[_LISTS.get(name.split("/")[-2], "revisions_of_record")]
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(query, name, before, list(collections), sight, limit)
        return [_change(row) for row in rows]


def _change(row: Mapping[str, Any]) -> Change:
    return Change(
        sequence=row["sequence"],
        collection=row["collection"],
        name=row["name"],
        version=row["version"],
        author=row["author"] or "",
        approver=row["approver"] or "",
        reason=row["reason"] or "",
        time=row["change_time"],
        controller=row["controller"] or "",
        record=row["record"],
    )
