"""Erasure: recordings whose term is over, except what a legal hold keeps.

A segment goes from the store first and from the index after it, a day's key after the last segment that it seals. So a
process that dies in between leaves an index that names too much, never a store that holds too much; the next turn goes
on where this one ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from anonymizer.domain.holding import LONGEST_POSTPONEMENT, Holds
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from anonymizer.domain.segments import SegmentName
    from anonymizer.erasure_index import ErasureIndex
    from anonymizer.index import SegmentIndex
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.reports import ErasureReports
    from anonymizer.store import RecordingStore

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 2000
"""Segments between two transactions; each puts one entry into the audit log."""
_KEYS_AT_ONCE: Final = 1000
_TOLERANCE: Final = timedelta(minutes=1)
"""By which two clocks may differ without a word."""


@dataclass
class HeldSegments:
    """Segments beyond their term that holds keep, by optic.

    Attributes:
        found: how many of an optic, and the capture times of the first and the last.
    """

    found: dict[str, tuple[int, datetime, datetime]] = field(default_factory=dict)

    def add(self, segment: SegmentName) -> None:
        """Counts one."""
        end = segment.start + segment.duration
        count, first, last = self.found.get(segment.optic, (0, segment.start, end))
        self.found[segment.optic] = (count + 1, min(first, segment.start), max(last, end))

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(count for count, _, _ in self.found.values())


@dataclass(frozen=True, slots=True)
class Premises:
    """Everywhere that a recording leaves a trace.

    Attributes:
        store: of the recordings, and of the reports.
        index: of the segments.
        due: of what is due, and of what was erased.
        reports: writes the signed reports.
    """

    store: RecordingStore
    index: SegmentIndex
    due: ErasureIndex
    reports: ErasureReports


class Eraser:
    """Erases what is due, again and again.

    Args:
        premises: what is erased.
        read_holds: asks the registry what is held now; raises Unavailable.
        metrics: counts what was erased and what is held.
        clock: the present time, aware.
        other_clock: the same by another machine; raises Unavailable. What is not over by both of them stays.
    """

    def __init__(
        self,
        premises: Premises,
        read_holds: Callable[[], Awaitable[Holds]],
        metrics: AnonymizerMetrics,
        clock: Callable[[], datetime],
        other_clock: Callable[[], Awaitable[datetime]],
    ) -> None:
        self._store = premises.store
        self._index = premises.index
        self._due = premises.due
        self._reports = premises.reports
        self._read_holds = read_holds
        self._metrics = metrics
        self._clock = clock
        self._other_clock = other_clock
        self._clocks_differ = False
        self._holds: Holds | None = None
        self._registry_lost = False
        self._failing = False
        self._compared: date | None = None

    @property
    def holds(self) -> Holds:
        """What is held, as it was last told; nothing, as long as nobody has told."""
        return self._holds or Holds()

    def is_over(self, segment: SegmentName) -> bool:
        """Whether a segment may go now: its term is over, and it is known that nothing keeps it."""
        now = self._clock() - (LONGEST_POSTPONEMENT if self._registry_lost else timedelta(0))
        return self._holds is not None and now >= segment.expires and not self._holds.keeps(segment, now)

    async def run(self, period_seconds: float) -> None:
        """Erases for ever; what does not answer is asked at the next turn."""
        while True:
            await self.once()
            await asyncio.sleep(period_seconds)

    async def once(self) -> None:
        """One turn.

        While the registry does not say what is held, only what is overdue by the longest postponement goes, and of that
        nothing that was held when it last answered. If it is not even known what was held then, nothing goes.
        """
        self._store.forget_past_days()
        try:
            due_by = await self._learn_holds()
            if self._holds is None:
                return
            await self._erase(due_by, self._holds)
        except Unavailable as error:
            self._tell(failed=True, error=error)
            return
        self._tell(failed=False)

    async def _erase(self, due_by: datetime, holds: Holds) -> None:
        """Erases by the index; without it, by the names in the store alone.

        Raises:
            Unavailable: the store or, after all that is due is gone, the index does not answer.
        """
        try:
            due_by -= await self._ahead()
            await self._compare_with_store()
            held, erased = await self._erase_segments(due_by, holds)
            await self._erase_keys(due_by)
        except Unavailable as error:
            if error.reason not in ("DATABASE_UNAVAILABLE", "AUDIT_UNAVAILABLE"):
                raise
            # The law does not wait for a database, beyond a day. What is gone is counted when the index answers again.
            await self._store.erase_due(min(due_by, self._clock() - LONGEST_POSTPONEMENT), holds)
            raise
        self._metrics.segments_held.set(held.count)
        if erased:
            log.info("recording.segments_erased", segments=erased, held=held.count)
        await self._reports.write_due(self._clock(), held, holds, registry_lost=self._registry_lost)

    async def _ahead(self) -> timedelta:
        """How far this clock is ahead of the other: one that was set wrong must not erase what is not due."""
        ahead = self._clock() - await self._other_clock()
        differ = abs(ahead) > _TOLERANCE
        if differ and not self._clocks_differ:
            log.error("recording.clocks_disagreed", ahead_seconds=round(ahead.total_seconds()))
        self._clocks_differ = differ
        return max(ahead, timedelta(0))

    async def _compare_with_store(self) -> None:
        """Once a day, and after a start: what is in the store and not in the index goes into it."""
        today = self._clock().date()
        if self._compared == today:
            return
        async for segments, keys in self._store.inventory():
            if segments:
                await self._index.add(segments, self._clock())
            if keys:
                await self._due.add_keys(keys)
        self._compared = today

    async def _erase_segments(self, due_by: datetime, holds: Holds) -> tuple[HeldSegments, int]:
        held, erased, position = HeldSegments(), 0, None
        while True:
            found, position = await self._due.due(due_by, position, _AT_ONCE)
            if not found:
                return held, erased
            going = []
            for segment, _ in found:
                if holds.keeps(segment, due_by):
                    held.add(segment)
                else:
                    going.append(segment)
            if going:
                await self._store.erase([segment.name for segment in going])
                count = await self._due.forget(going, self._clock())
                self._metrics.segments_erased.inc(count)
                erased += count

    async def _erase_keys(self, due_by: datetime) -> None:
        """A key whose segments are gone makes every copy of them worthless, in a backup too."""
        scopes = await self._due.due_keys(due_by, _KEYS_AT_ONCE)
        # A segment that the index does not know yet needs its key: it may be held.
        going = [scope for scope in scopes if not await self._store.seals_any(scope)]
        if going:
            await self._store.erase_keys(going)
            await self._due.forget_keys(going, self._clock())

    async def _learn_holds(self) -> datetime:
        """Reads what is held; what has outlived its term by the answered time may go."""
        try:
            holds = await self._read_holds()
        except Unavailable:
            self._tell_registry(lost=True)
            if self._holds is None:
                self._holds = await self._store.kept_holds()
            return self._clock() - LONGEST_POSTPONEMENT
        self._tell_registry(lost=False)
        if holds != self._holds:
            # Before anything is erased by it, so that a restart knows no less than this process.
            await self._store.keep_holds(holds)
            self._holds = holds
        return self._clock()

    def _tell_registry(self, *, lost: bool) -> None:
        self._metrics.holds_known.set(not lost)
        if lost and not self._registry_lost:
            log.error("recording.erasure_postponed", at_most_hours=LONGEST_POSTPONEMENT.total_seconds() / 3600)
        if self._registry_lost and not lost:
            log.info("recording.erasure_resumed")
        self._registry_lost = lost

    def _tell(self, *, failed: bool, error: Exception | None = None) -> None:
        self._metrics.erasure_failing.set(failed)
        if failed and not self._failing:
            log.error("recording.erasure_failed", error=str(error))
        self._failing = failed
