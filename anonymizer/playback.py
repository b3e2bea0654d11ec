"""Clips of the recording, from the store to whoever may have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import av
import structlog

from anonymizer.clips import ClipMuxer
from anonymizer.sealing import SealBrokenError
from mesh.errors import FailedPrecondition, NotFound, ResourceExhausted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from anonymizer.domain.holding import Holds
    from anonymizer.domain.segments import SegmentName
    from anonymizer.index import SegmentIndex, Stretch
    from anonymizer.store import RecordingStore

log = structlog.get_logger(__name__)

CLIPS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """The next bytes of a clip.

    Attributes:
        content: of the file.
        captured: capture time up to which it reaches, roughly.
    """

    content: bytes
    captured: datetime


class Archive:
    """What is recorded, within its term or held.

    Args:
        store: of the segments.
        index: of the segments.
        executor: where clips are made.
        holds: what is held, as far as is known.
        clock: the present time, aware.
    """

    def __init__(
        self,
        store: RecordingStore,
        index: SegmentIndex,
        executor: Executor,
        holds: Callable[[], Holds],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._index = index
        self._executor = executor
        self._holds = holds
        self._clock = clock
        self._open = 0

    @property
    def now(self) -> datetime:
        """The present time, aware."""
        return self._clock()

    def holds_on(self, optic: str, start: datetime, end: datetime) -> list[str]:
        """The holds that keep any picture from `start` to `end`."""
        return self._holds().names(optic, start, end, self._clock())

    async def stretches(self, optic: str, start: datetime, end: datetime, *, skip: int, most: int) -> list[Stretch]:
        """See ``SegmentIndex.stretches``."""
        return await self._index.stretches(optic, start, end, self._clock(), self._holds(), skip=skip, most=most)

    async def recorded(
        self, optics: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, list[tuple[datetime, datetime]]]:
        """See ``SegmentIndex.recorded``."""
        return await self._index.recorded(optics, start, end)

    async def read(self, optic: str, clip: ClipMuxer, start: datetime, end: datetime) -> AsyncIterator[Part]:
        """The file of a clip, as it is made; one segment at a time is in memory.

        Raises:
            NotFound: nothing is recorded in the interval.
            FailedPrecondition: the store gives something else than what was recorded.
            ResourceExhausted: as many clips as may be are being read.
            Unavailable: the store or the index does not answer.
        """
        with self._counted():
            segments = await self._index.between(optic, start, end, self._clock(), self._holds())
            async for part in self._parts(clip, segments):
                yield part
            if clip.begins is None:
                raise NotFound(
                    "nothing is recorded in the interval", reason="NOTHING_RECORDED", metadata={"optic": optic}
                )
            yield Part(await self._in_thread(clip.finish), clip.covered[-1][1])

    async def _parts(self, clip: ClipMuxer, segments: Sequence[SegmentName]) -> AsyncIterator[Part]:
        for segment in segments:
            try:
                content = await self._store.read(segment)
                made = await self._in_thread(lambda: clip.add(segment, content))  # noqa: B023 - awaited within the turn
            except NotFound:
                # Erased since it was looked up, or lost: a gap like any other.
                log.warning("recording.segment_missing", optic=segment.optic, segment=segment.name)
                continue
            except (SealBrokenError, av.FFmpegError) as error:
                raise _damaged(segment) from error
            if clip.covered:
                yield Part(made, clip.covered[-1][1])

    async def _in_thread(self, work: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._open >= CLIPS_AT_ONCE:
            raise ResourceExhausted(
                f"{CLIPS_AT_ONCE} clips are being read, as many as may be", reason="TOO_MANY_CLIPS", retry_after=5.0
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def _damaged(segment: SegmentName) -> FailedPrecondition:
    log.error("recording.segment_damaged", optic=segment.optic, segment=segment.name)
    start = segment.start.isoformat()
    return FailedPrecondition(
        f"what is stored as captured from {start} is not what was recorded, or its key is another one",
        reason="SEGMENT_DAMAGED",
        metadata={"optic": segment.optic, "startTime": start},
    )
