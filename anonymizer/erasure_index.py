"""What is due by the index, and what was erased until it stands in a signed report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from anonymizer.domain.segments import KeyScope
from anonymizer.index import Indexed, row_of, segment_of
from mesh.audit import Act, AuditEntry
from mesh.postgres import load_queries

if TYPE_CHECKING:
    from anonymizer.database import Database
    from anonymizer.domain.segments import SegmentName

QUERIES = load_queries("anonymizer.sql", "erasure.sql")

ANONYMIZER: Final = "service/anonymizer"
"""Who erases, in the audit log."""
_WHY: Final = "the term of the recording is over"
_BEFORE_ALL: Final = (datetime(1, 1, 1, tzinfo=UTC), "", datetime(1, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Tally:
    """What was erased of one optic.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        segments: how many.
        size: of them, in bytes.
        keys: data keys of days.
        first: capture time of the first picture; None: only keys went.
        last: of the last.
    """

    optic: str
    segments: int
    size: int
    keys: int
    first: datetime | None
    last: datetime | None


class ErasureIndex:
    """Queries. Every method raises ``Unavailable`` when PostgreSQL cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_keys(self, scopes: Sequence[KeyScope]) -> None:
        """Puts keys that are in the store into the index; those that are there already stay as they are."""
        await self._database.execute(
            QUERIES["add_keys"], [scope.optic for scope in scopes], [scope.day for scope in scopes]
        )

    async def due(self, now: datetime, after: Any, most: int) -> tuple[list[Indexed], Any]:
        """Segments whose term is over, with their sizes.

        Args:
            now: aware.
            after: what the call before gave; None: from the start.
            most: how many.

        Returns:
            The segments, and where to go on; none are left when there are no segments.
        """
        rows = await self._database.fetch(QUERIES["due_segments"], now, *(after or _BEFORE_ALL), most)
        position = (rows[-1]["expire_time"], rows[-1]["optic"], rows[-1]["start_time"]) if rows else after
        return [(segment_of(row), row["bytes"]) for row in rows], position

    async def forget(self, segments: Sequence[SegmentName], now: datetime) -> int:
        """Takes segments that are gone from the store out of the index; how many this call has taken.

        The act goes on record in the same transaction.
        """
        columns = list(zip(*(row_of(segment, 0) for segment in segments), strict=True))[:4]
        async with self._database.transaction() as connection:
            rows = await connection.fetch(QUERIES["forget_segments"], *map(list, columns), now)
            count: int = sum(row["segments"] for row in rows)
            if count:
                what = f"masked recordings: {count} segments of {len(rows)} optics"
                await self._database.put_on_record(
                    AuditEntry(Act.ERASURE, ANONYMIZER, _WHY, what), connection=connection
                )
        return count

    async def due_keys(self, now: datetime, most: int) -> list[KeyScope]:
        """Keys of days that are over with every term of theirs, and that seal nothing that is in the index."""
        rows = await self._database.fetch(QUERIES["due_keys"], now, most)
        return [KeyScope(row["optic"], row["day"]) for row in rows]

    async def forget_keys(self, scopes: Sequence[KeyScope], now: datetime) -> None:
        """Takes keys that are gone from the store out of the index."""
        arguments = [scope.optic for scope in scopes], [scope.day for scope in scopes], now
        await self._database.execute(QUERIES["forget_keys"], *arguments)

    async def claim(self, day: date, end: datetime) -> list[Tally]:
        """What the report of `day` counts: all that was erased before `end` and stands in no report yet."""
        await self._database.execute(QUERIES["claim_erasures"], day, end)
        rows = await self._database.fetch(QUERIES["claimed_erasures"], day)
        return [
            Tally(*(row[name] for name in ("optic", "segments", "bytes", "keys", "first_capture", "last_capture")))
            for row in rows
        ]

    async def last_report(self) -> date | None:
        """The day of the newest report that is on record."""
        rows = await self._database.fetch(QUERIES["last_report"])
        day: date | None = rows[0]["day"]
        return day

    async def settle(self, day: date, digest: bytes) -> None:
        """Puts a report that is in the store on record, once, and forgets what it counts."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(QUERIES["settle_report"], day, digest) is not None:
                entry = AuditEntry(Act.ERASURE, ANONYMIZER, _WHY, f"report of erasure {day}, SHA-256 {digest.hex()}")
                await self._database.put_on_record(entry, connection=connection)
            await connection.execute(QUERIES["forget_erasures"], day)

    async def reports(self, after: date, most: int) -> list[tuple[date, bytes]]:
        """Reports of days after `after`, with their SHA-256."""
        rows = await self._database.fetch(QUERIES["list_reports"], after, most)
        return [(row["day"], row["sha256"]) for row in rows]
