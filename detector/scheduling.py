"""Frames of many streams, one model: the batching policy with a clock, a model and futures."""

from __future__ import annotations

import asyncio
import enum
import itertools
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from opentelemetry import trace

from detector.domain.batching import BatchingParameters, BatchQueue, ExpectedTime
from detector.domain.tiling import Attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from detector.catalogue.cards import Thresholds
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Planes
    from detector.metrics import DetectorMetrics
    from detector.model import Model

log = structlog.get_logger()


MOST_AT_WORK: Final = 2
"""Batches that have been given to the model and have no answer yet."""


class Refusal(enum.Enum):
    """Why a frame was not looked at.

    An answer and not an exception: that would tie the frame's memory into a circle, until the next garbage collection.
    """

    OVERLOAD = enum.auto()
    """There were more frames than the model can look at."""
    FAILURE = enum.auto()
    """The model failed on it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a model said of a frame.

    Attributes:
        planes: the frame.
        detections: everything above the masking threshold, in pixels of the frame.
        digest: SHA-256 of the model that looked, in hexadecimal.
        thresholds: of its card.
    """

    planes: Planes
    detections: Detections
    digest: str
    thresholds: Thresholds


Answer: TypeAlias = "asyncio.Future[Look | Refusal]"


@dataclass(frozen=True, slots=True)
class _Job:
    planes: Planes
    attention: Attention
    answer: Answer
    span: trace.Span


class Scheduler:
    """Feeds the model. `run` must be running.

    Args:
        model: that looks at the frames until `use` names another.
        parameters: of the batching policy.
        metrics: see DetectorMetrics.
        attend: gives each stream its own attention; frames are looked at whole by default.
    """

    def __init__(
        self,
        model: Model,
        parameters: BatchingParameters,
        metrics: DetectorMetrics,
        attend: Callable[[], Attention] = Attention,
    ) -> None:
        self.parameters = parameters
        self._model = model
        self._metrics = metrics
        self._attend = attend
        self._attentions: dict[int, Attention] = {}
        self._queue: BatchQueue[_Job] = BatchQueue(parameters)
        self._keys = itertools.count(1)
        self._changed = asyncio.Event()
        """A frame has come, or a batch has ended."""
        self._failing = False
        self._answering = ExpectedTime()
        """From the moment when a batch is taken to its answers: behind the one before it, and behind all else that this
        process does."""

    @property
    def model(self) -> Model:
        """The model that looks at the next batch."""
        return self._model

    def use(self, model: Model) -> Model:
        """Look with this model, which is warm, from the next batch on.

        Returns:
            The one before; the batch that it may be at is still its own.
        """
        before, self._model = self._model, model
        self._failing = False
        return before

    @contextmanager
    def stream(self, *, every_frame: bool) -> Iterator[int]:
        """Admit a stream for the block; gives its key. What still waits at the end is not looked at."""
        key = next(self._keys)
        self._queue.open(key, every_frame=every_frame)
        self._attentions[key] = self._attend()
        try:
            yield key
        finally:
            del self._attentions[key]
            for job in self._queue.close(key):
                _refuse(job)

    def submit(self, key: int, planes: Planes, span: trace.Span = trace.INVALID_SPAN) -> Answer:
        """Ask for a look at a frame; ``span`` is told the size of its batch, and ends with the answer.

        Raises:
            ValueError: more frames of a stream that wants every frame are waiting than may.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        job = _Job(planes, self._attentions[key], answer, span)
        for passed_over in self._queue.offer(key, job, shape=planes.luma.shape, now=time.monotonic()):
            _refuse(passed_over)
        self._changed.set()
        return answer

    async def run(self) -> None:
        """Look at frames, batch after batch, until cancelled."""
        looking: set[asyncio.Task[None]] = set()

        def free(look: asyncio.Task[None]) -> None:
            looking.discard(look)
            self._changed.set()

        try:
            while True:
                self._changed.clear()
                now = time.monotonic()
                for late in self._queue.expire(now, ahead=self._answering.seconds):
                    _refuse(late)
                jobs = self._next(now, at_work=len(looking))
                if jobs:
                    look = asyncio.create_task(self._look(jobs), name="look")
                    looking.add(look)
                    look.add_done_callback(free)
                else:
                    await self._wait(now, idle=not looking)
        finally:
            for look in tuple(looking):
                look.cancel()
            await asyncio.gather(*looking, return_exceptions=True)

    def _next(self, now: float, *, at_work: int) -> list[_Job]:
        # One batch lies ready while the model looks at the one before: a device that waited for this loop would stand
        # still. It must be full, since one that still fills costs the device nothing.
        return self._queue.take(now, only_full=at_work > 0) if at_work < MOST_AT_WORK else []

    async def _wait(self, now: float, *, idle: bool) -> None:
        change = self._queue.next_change() if idle else None
        try:
            async with asyncio.timeout(None if change is None else max(0.0, change - now)):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _look(self, jobs: list[_Job]) -> None:
        self._metrics.batch_frames.observe(len(jobs))
        for job in jobs:
            job.span.set_attribute("batch_size", len(jobs))
        # Another model may come while this one looks.
        model, taken = self._model, time.monotonic()
        try:
            found = await model.analyze(
                [job.planes for job in jobs],
                [job.attention for job in jobs],
                took=self._metrics.inference_seconds.observe,
            )
        except Exception as error:
            if not self._failing:
                log.exception("model.failed", model=model.card.name, error_reason=type(error).__name__)
            self._failing = model is self._model
            for job in jobs:
                _refuse(job, Refusal.FAILURE)
            return
        self._answering.take(time.monotonic() - taken)
        if self._failing and model is self._model:
            log.info("model.recovered", model=model.card.name)
            self._failing = False
        for job, detections in zip(jobs, found, strict=True):
            _end(job, "analysed")
            if not job.answer.done():
                job.answer.set_result(Look(job.planes, detections, model.digest, model.card.thresholds))


def _refuse(job: _Job, refusal: Refusal = Refusal.OVERLOAD) -> None:
    _end(job, refusal.name.lower())
    if not job.answer.done():
        job.answer.set_result(refusal)


def _end(job: _Job, outcome: str) -> None:
    job.span.set_attribute("outcome", outcome)
    job.span.end()
