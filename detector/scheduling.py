"""Frames of many streams, one model: the batching policy with a clock, a model and futures."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog
from opentelemetry import trace

from detector.domain.batching import BatchingParameters, BatchQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Planes
    from detector.metrics import DetectorMetrics
    from detector.model import Model

log = structlog.get_logger()


class Overload(Exception):
    """There were more frames than the model can look at; this one was not looked at."""


class ModelFailure(Exception):
    """The model failed on this frame."""


Answer: TypeAlias = "asyncio.Future[Detections]"
"""Ends with the detections, with Overload or with ModelFailure."""


@dataclass(frozen=True, slots=True)
class _Job:
    planes: Planes
    answer: Answer
    span: trace.Span


class Scheduler:
    """Feeds the model. `run` must be running.

    Args:
        model: that looks at the frames.
        parameters: of the batching policy.
        metrics: see DetectorMetrics.
    """

    def __init__(self, model: Model, parameters: BatchingParameters, metrics: DetectorMetrics) -> None:
        self.parameters = parameters
        self._model = model
        self._metrics = metrics
        self._queue: BatchQueue[_Job] = BatchQueue(parameters)
        self._keys = itertools.count(1)
        self._arrived = asyncio.Event()
        self._failing = False

    @contextmanager
    def stream(self, *, every_frame: bool) -> Iterator[int]:
        """Admit a stream for the block; gives its key. What still waits at the end is not looked at."""
        key = next(self._keys)
        self._queue.open(key, every_frame=every_frame)
        try:
            yield key
        finally:
            for job in self._queue.close(key):
                _refuse(job)

    def submit(self, key: int, planes: Planes, span: trace.Span = trace.INVALID_SPAN) -> Answer:
        """Ask for a look at a frame; ``span`` is told the size of its batch, and ends with the answer.

        Raises:
            ValueError: more frames of a stream that wants every frame are waiting than may.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        # Nobody asks for the answer of a stream that has ended.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        job = _Job(planes, answer, span)
        for passed_over in self._queue.offer(key, job, shape=planes.luma.shape, now=time.monotonic()):
            _refuse(passed_over)
        self._arrived.set()
        return answer

    async def run(self) -> None:
        """Look at frames, batch after batch, until cancelled."""
        while True:
            self._arrived.clear()
            now = time.monotonic()
            for late in self._queue.expire(now):
                _refuse(late)
            jobs = self._queue.take(now)
            if jobs:
                await self._look(jobs)
            else:
                await self._wait(now)

    async def _wait(self, now: float) -> None:
        change = self._queue.next_change()
        try:
            async with asyncio.timeout(None if change is None else max(0.0, change - now)):
                await self._arrived.wait()
        except TimeoutError:
            pass

    async def _look(self, jobs: list[_Job]) -> None:
        self._metrics.batch_frames.observe(len(jobs))
        for job in jobs:
            job.span.set_attribute("batch_size", len(jobs))
        try:
            with self._metrics.inference_seconds.time():
                found = await self._model.analyze([job.planes for job in jobs])
        except Exception as error:
            if not self._failing:
                log.exception("model.failed", model=self._model.card.name, error_reason=type(error).__name__)
            self._failing = True
            for job in jobs:
                _end(job, "failure")
                if not job.answer.done():
                    job.answer.set_exception(ModelFailure())
            return
        if self._failing:
            log.info("model.recovered", model=self._model.card.name)
            self._failing = False
        for job, detections in zip(jobs, found, strict=True):
            _end(job, "analysed")
            if not job.answer.done():
                job.answer.set_result(detections)


def _refuse(job: _Job) -> None:
    _end(job, "overload")
    if not job.answer.done():
        job.answer.set_exception(Overload())


def _end(job: _Job, outcome: str) -> None:
    job.span.set_attribute("outcome", outcome)
    job.span.end()
