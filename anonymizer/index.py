"""The index of the recordings: which segments there are, written only after their bytes are safe in the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from anonymizer.domain.segments import UNBROKEN, SegmentName
from anonymizer.sql import QUERIES
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from anonymizer.database import Database
    from anonymizer.domain.holding import Holds
    from anonymizer.metrics import AnonymizerMetrics

log = structlog.get_logger(__name__)

_WAITING: Final = 200_000
"""Rows that may wait for the database: an hour of six hundred optics. What gives way is found again in the store."""
_AT_ONCE: Final = 1000
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

Indexed = tuple[SegmentName, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """An unbroken recording with one term.

    Attributes:
        start: capture time of its first picture, aware.
        end: of its last.
        expires: when its first picture must be gone.
    """

    start: datetime
    end: datetime
    expires: datetime


class SegmentIndex:
    """Queries. Every method raises ``Unavailable`` when PostgreSQL cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, segments: Sequence[Indexed], now: datetime) -> None:
        """Puts segments, with their sizes in bytes, into the index; those that are there already stay as they are.

        Their term is reckoned from their capture, or from `now` where that lies ahead.
        """
        columns = zip(*(row_of(segment, size) for segment, size in segments), strict=True)
        await self._database.execute(QUERIES["add_segments"], *map(list, columns), now)

    async def between(
        self, optic: str, start: datetime, end: datetime, now: datetime, holds: Holds
    ) -> list[SegmentName]:
        """The segments of an optic with pictures from `start` until before `end`, by time.

        What has outlived its term at `now` is not among them, though it may not be erased yet, unless it is held.
        """
        arguments = (optic, start, end, now, *_held(optic, now, holds))
        return [segment_of(row) for row in await self._database.fetch(QUERIES["segments_between"], *arguments)]

    async def stretches(
        self, optic: str, start: datetime, end: datetime, now: datetime, holds: Holds, *, skip: int, most: int
    ) -> list[Stretch]:
        """The same as unbroken stretches, `most` at most after the first `skip`."""
        arguments = (optic, start, end, now, *_held(optic, now, holds), UNBROKEN.total_seconds(), skip, most)
        rows = await self._database.fetch(QUERIES["stretches_between"], *arguments)
        return [Stretch(row["start_time"], row["end_time"], row["expire_time"]) for row in rows]

    async def recorded(
        self, optics: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, list[tuple[datetime, datetime]]]:
        """When optics were recorded between two times: unbroken stretches of what is there, by optic."""
        arguments = (list(optics), start, end, UNBROKEN.total_seconds())
        found: dict[str, list[tuple[datetime, datetime]]] = {}
        for row in await self._database.fetch(QUERIES["recorded_between"], *arguments):
            found.setdefault(row["optic"], []).append((row["start_time"], row["end_time"]))
        return found


class IndexWriter:
    """Tells the index of segments in the order in which their bytes became safe; nothing waits for it.

    Args:
        index: takes them.
        metrics: shows how many wait.
        clock: the present time, aware.
        pause: waits so many seconds between attempts.
    """

    def __init__(
        self,
        index: SegmentIndex,
        metrics: AnonymizerMetrics,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._index = index
        self._metrics = metrics
        self._clock = clock
        self._pause = pause
        self._rows: deque[Indexed] = deque(maxlen=_WAITING)
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._available = True

    def put(self, segment: SegmentName, size: int) -> None:
        """Takes a segment whose bytes are safe; never waits."""
        self._rows.append((segment, size))
        self._idle.clear()
        self._filled.set()

    async def run(self) -> None:
        """Writes for ever."""
        pause = _SHORTEST_PAUSE
        while True:
            await self._filled.wait()
            rows = [self._rows.popleft() for _ in range(min(len(self._rows), _AT_ONCE))]
            if not rows:
                self._filled.clear()
                self._idle.set()
                continue
            try:
                await self._index.add(rows, self._clock())
            except Unavailable as error:
                self._rows.extendleft(reversed(rows))
                self._say(available=False, error=error)
                await self._pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._say(available=True)
                pause = _SHORTEST_PAUSE
            self._metrics.segments_unindexed.set(len(self._rows))

    async def drain(self) -> None:
        """Returns when every segment is in the index; never, while the database takes none."""
        await self._idle.wait()

    def _say(self, *, available: bool, error: Unavailable | None = None) -> None:
        if available is self._available:
            return
        self._available = available
        if available:
            log.info("recording.index_recovered", segments_waiting=len(self._rows))
        else:
            log.error("recording.index_failed", error_reason=error.reason if error else "")


def row_of(segment: SegmentName, size: int) -> tuple[str, datetime, int, int, int]:
    """A segment as a row: optic, start, milliseconds, term in seconds, bytes."""
    length, term = round(segment.duration / timedelta(milliseconds=1)), round(segment.retention.total_seconds())
    return segment.optic, segment.start, length, term, size


def segment_of(row: Any) -> SegmentName:
    """The reverse of `row_of`, from columns by name."""
    return SegmentName(
        row["optic"],
        row["start_time"],
        timedelta(milliseconds=row["milliseconds"]),
        timedelta(seconds=row["retention_seconds"]),
    )


def _held(optic: str, now: datetime, holds: Holds) -> tuple[list[datetime], list[datetime]]:
    held = holds.of(optic, now)
    return [each.start for each in held], [each.end for each in held]
