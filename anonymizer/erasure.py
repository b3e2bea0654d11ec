"""Erasure: recordings whose term is over, except what a legal hold keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from anonymizer.domain.holding import LONGEST_POSTPONEMENT, Holds
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from anonymizer.domain.segments import SegmentName
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.store import RecordingStore

log = structlog.get_logger(__name__)


class Eraser:
    """Erases what is due, again and again.

    Args:
        store: of the recordings.
        read_holds: asks the registry what is held now; raises Unavailable.
        metrics: counts what was erased and what is held.
        clock: the present time, aware.
    """

    def __init__(
        self,
        store: RecordingStore,
        read_holds: Callable[[], Awaitable[Holds]],
        metrics: AnonymizerMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._read_holds = read_holds
        self._metrics = metrics
        self._clock = clock
        self._holds: Holds | None = None
        self._registry_lost = False
        self._store_lost = False

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
        try:
            due_by = await self._learn_holds()
            if self._holds is None:
                return
            erasure = await self._store.erase_due(due_by, self._holds)
        except Unavailable as error:
            self._tell_store(lost=True, error=error)
            return
        self._tell_store(lost=False)
        self._metrics.segments_erased.inc(erasure.segments)
        self._metrics.segments_held.set(erasure.held)
        if erasure.segments:
            log.info("recording.segments_erased", segments=erasure.segments, held=erasure.held)

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

    def _tell_store(self, *, lost: bool, error: Exception | None = None) -> None:
        if lost and not self._store_lost:
            log.error("recording.erasure_failed", error=str(error))
        self._store_lost = lost
