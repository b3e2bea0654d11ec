"""The recording: segments of masked video on their way into the store.

Nothing here can stop the live view: pictures are handed over without waiting, and what the store does not take in time
is dropped, counted and said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import av
import structlog

from anonymizer.domain.segments import SegmentName
from anonymizer.muxing import SegmentBuilder, captured_at, fragmented_mp4
from anonymizer.sealing import SealBrokenError
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.encoder import EncodedPicture
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.store import RecordingStore

log = structlog.get_logger(__name__)

WAITING_BYTES: Final = 256 * 1024 * 1024
"""Segments that may wait for the store: an hour of ten optics, or a minute of six hundred, at 500 kbit/s."""
WRITERS: Final = 8
"""Segments on their way at once: 600 optics make 60 a second, and a bucket answers in some 50 ms."""
SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

_Job = tuple[SegmentName, "Sequence[EncodedPicture]"]


class Recorder:
    """Writes the segments of all optics into the store.

    Args:
        store: where they go.
        metrics: counts them.
        executor: where they are muxed.
        waiting_bytes: how much may wait for the store.
        stored: is told of every segment, with its size in bytes, once its bytes are safe; must not wait.
        is_over: whether the term of a segment is over, and nothing keeps it.
        pause: waits so many seconds between attempts.
    """

    def __init__(
        self,
        store: RecordingStore,
        metrics: AnonymizerMetrics,
        executor: Executor,
        *,
        waiting_bytes: int = WAITING_BYTES,
        stored: Callable[[SegmentName, int], None] = lambda _segment, _size: None,
        is_over: Callable[[SegmentName], bool],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._executor = executor
        self._waiting_bytes = waiting_bytes
        self._stored = stored
        self._is_over = is_over
        self._pause = pause
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._writing = 0
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._available = True
        metrics.store_available.set(1)

    def track(self, optic: str, retention: timedelta) -> RecordingTrack:
        """A recording of one optic."""
        return RecordingTrack(self, optic, retention)

    def submit(self, segment: SegmentName, pictures: Sequence[EncodedPicture]) -> None:
        """Takes a whole segment; the oldest ones give way when too much waits."""
        self._jobs.append((segment, pictures))
        self._bytes += _weight(pictures)
        while self._bytes > self._waiting_bytes and len(self._jobs) > 1:
            lost, dropped = self._jobs.popleft()
            self._bytes -= _weight(dropped)
            self._metrics.segments.labels(lost.optic, "dropped").inc()
        self._metrics.segments_waiting.set(len(self._jobs))
        self._idle.clear()
        self._filled.set()

    async def run(self) -> None:
        """Writes for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(self._write_for_ever(), name=f"recording-writer-{number}")

    async def drain(self) -> None:
        """Returns when nothing waits any more; never, while the store takes nothing."""
        await self._idle.wait()

    async def _write_for_ever(self) -> None:
        pause = SHORTEST_PAUSE
        while True:
            while not self._jobs:
                self._filled.clear()
                await self._filled.wait()
            job = self._jobs.popleft()
            self._writing += 1
            try:
                done = await self._write(job)
            finally:
                self._writing -= 1
            if done:
                pause = SHORTEST_PAUSE
                self._finish(job)
            else:
                self._jobs.appendleft(job)
                await self._pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _write(self, job: _Job) -> bool:
        """Whether the segment needs no further attempt."""
        segment, pictures = job
        if self._is_over(segment):
            # It waited for the store until its term was over: it must not be there any more, here neither.
            self._metrics.segments.labels(segment.optic, "expired").inc()
            return True
        outcome = "written"
        try:
            content = await asyncio.get_running_loop().run_in_executor(self._executor, fragmented_mp4, pictures)
            await self._store.write(segment, content)
            self._stored(segment, len(content))
            self._say(available=True)
        except Unavailable as error:
            self._say(available=False, error=error)
            return False
        except SealBrokenError:
            # The day's key was wrapped with another key: no further attempt can help, and others must not wait for it.
            log.error("recording.key_rejected", optic=segment.optic, key=segment.scope.name)  # noqa: TRY400 - the kind says it
            outcome = "unsealable"
        except av.FFmpegError as error:
            log.error("recording.segment_unusable", optic=segment.optic, error=type(error).__name__)  # noqa: TRY400 - the kind says it
            outcome = "unusable"
        self._metrics.segments.labels(segment.optic, outcome).inc()
        return True

    def _finish(self, job: _Job) -> None:
        self._bytes -= _weight(job[1])
        self._metrics.segments_waiting.set(len(self._jobs))
        if not self._jobs and not self._writing:
            self._idle.set()

    def _say(self, *, available: bool, error: Exception | None = None) -> None:
        if available is self._available:
            return
        self._available = available
        self._metrics.store_available.set(int(available))
        if available:
            log.info("recording.store_recovered", segments_waiting=len(self._jobs))
        else:
            log.error("recording.store_failed", error=str(error), segments_waiting=len(self._jobs))


class RecordingTrack:
    """The recording of one optic.

    Args:
        recorder: writes it.
        optic: `devices/{device}/optics/{optic}`.
        retention: how long after capture it lives.
    """

    def __init__(self, recorder: Recorder, optic: str, retention: timedelta) -> None:
        self._recorder = recorder
        self._optic = optic
        self._retention = retention
        self._builder = SegmentBuilder()

    def add(self, picture: EncodedPicture) -> None:
        """Takes a picture; never waits."""
        self._submit(self._builder.add(picture))

    def end(self) -> None:
        """Hands over what was collected so far."""
        self._submit(self._builder.flush())

    def _submit(self, pictures: Sequence[EncodedPicture]) -> None:
        if not pictures:
            return
        start, end = captured_at(pictures[0]), captured_at(pictures[-1])
        length = max(end - start, timedelta(0))
        self._recorder.submit(SegmentName(self._optic, start, length, self._retention), pictures)


def _weight(pictures: Sequence[EncodedPicture]) -> int:
    return sum(len(picture.data) for picture in pictures)
