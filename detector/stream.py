"""One optic's stream: frames in, verdicts out, one for one and in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry import trace

from argo.detector.v1 import bus_pb2, detection_service_pb2
from detector.domain.analysis import FiredRule, OpticAnalysis
from detector.domain.configuration import OpticConfiguration
from detector.domain.picture import Picture
from detector.packing import FrameHeader, pack_event, pack_flow, pack_refusal, pack_verdict
from detector.scheduling import Answer, Refusal, Scheduler
from detector.unpacking import require_configuration, unpack_configuration, unpack_frame
from mesh import tracing
from mesh.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from detector.domain.flows import Flow
    from detector.domain.tracker_parameters import TrackerParameters
    from detector.metrics import DetectorMetrics
    from detector.publisher import Publisher

log = structlog.get_logger()

LIVE_PENDING: Final = 64
"""Frames of a live stream that may be without a verdict."""

Requests = AsyncIterator[detection_service_pb2.AnalyzeRequest]
Verdict = detection_service_pb2.Verdict
Event = bus_pb2.Event

_OUTCOMES: Final = {
    Refusal.OVERLOAD: Verdict.OUTCOME_NOT_ANALYSED_OVERLOAD,
    Refusal.FAILURE: Verdict.OUTCOME_NOT_ANALYSED_FAILURE,
}


@dataclass(frozen=True)
class StreamParts:
    """What every stream works with.

    Attributes:
        scheduler: asks the model.
        publisher: tells the bus.
        metrics: counts.
        tracker: parameters of the trackers, whose scores give way to those of the model's card.
        new_id: random track ids.
        local_time: seconds since the epoch -> a moment in the city's time zone.
        observation_interval: seconds of capture time between two reports of the tracks.
        flow_interval: seconds of capture time between two reports of the counts.
    """

    scheduler: Scheduler
    publisher: Publisher
    metrics: DetectorMetrics
    tracker: TrackerParameters
    new_id: Callable[[], int]
    local_time: Callable[[float], datetime]
    observation_interval: float
    flow_interval: float


@dataclass(frozen=True, slots=True)
class _Pending:
    """A frame whose verdict is due.

    Attributes:
        header: of the frame.
        arrived: on the monotonic clock, seconds.
        answer: of the model, once it has looked.
    """

    header: FrameHeader
    arrived: float
    answer: Answer


_Step = _Pending | OpticConfiguration | Exception | None
"""What the reader hands to the writer, in order; None: the caller has no more frames."""


class AnalysisStream:
    """The life of one Analyze call.

    Args:
        parts: see StreamParts.
        stopping: set when the service drains.
    """

    def __init__(self, parts: StreamParts, stopping: asyncio.Event) -> None:
        self._parts = parts
        self._stopping = stopping
        self._steps: asyncio.Queue[_Step] = asyncio.Queue()
        self._places = asyncio.Semaphore(0)
        self._reported_tracks: float | None = None
        self._reported_counts: float | None = None

    async def run(self, requests: Requests) -> AsyncGenerator[Verdict, None]:
        """The verdicts.

        Raises:
            InvalidArgument: a request is wrong; the verdicts on the frames before it come first.
            Unavailable: the service drains.
        """
        first = await anext(requests, None)
        if first is None:
            return
        configuration = require_configuration(first)
        every_frame = first.mode == detection_service_pb2.ANALYSIS_MODE_EVERY_FRAME
        # Backpressure: as many frames may be without a verdict; the next one stays in the caller's hands. A live frame
        # that is passed over gives its picture back at once, so only its header waits for its turn.
        self._places = asyncio.Semaphore(self._parts.scheduler.parameters.most_waiting if every_frame else LIVE_PENDING)
        analysis = OpticAnalysis(
            configuration,
            new_id=self._parts.new_id,
            local_time=self._parts.local_time,
            parameters=self._parts.tracker,
        )
        log.info(
            "analysis.started",
            optic=configuration.optic,
            configuration_version=configuration.version,
            every_frame=every_frame,
        )
        _tell_not_running(analysis)
        with self._parts.scheduler.stream(every_frame=every_frame) as key:
            tasks = (
                asyncio.create_task(self._read(requests, key), name="analyze-reader"),
                asyncio.create_task(self._watch_drain(), name="analyze-drain"),
            )
            try:
                async for verdict in self._write(analysis, to_bus=not every_frame):
                    yield verdict
            finally:
                await _end(tasks)
                analysis.finish()
                self._report(analysis, None, to_bus=not every_frame)
                log.info("analysis.ended", optic=configuration.optic)

    async def _read(self, requests: Requests, key: int) -> None:
        try:
            async for request in requests:
                if request.WhichOneof("message") == "configuration":
                    await self._steps.put(unpack_configuration(request.configuration))
                    continue
                header, planes = unpack_frame(request.frame)
                await self._places.acquire()
                span = tracing.start_child("detector.analyze", header.traceparent)
                answer = self._parts.scheduler.submit(key, planes, span)
                await self._steps.put(_Pending(header, time.monotonic(), answer))
            await self._steps.put(None)
        except Exception as error:  # noqa: BLE001 - the writer raises it
            # After the verdicts on the frames before it.
            await self._steps.put(error)

    async def _watch_drain(self) -> None:
        await self._stopping.wait()
        await self._steps.put(Unavailable("the detector is stopping", reason="SERVICE_DRAINING"))

    async def _write(self, analysis: OpticAnalysis, *, to_bus: bool) -> AsyncGenerator[Verdict, None]:
        while (step := await self._steps.get()) is not None:
            match step:
                case Exception():
                    raise step
                case OpticConfiguration():
                    analysis.configure(step)
                    _tell_not_running(analysis)
                case _Pending():
                    verdict = await self._answer(step, analysis, to_bus=to_bus)
                    self._places.release()
                    yield verdict

    async def _answer(self, pending: _Pending, analysis: OpticAnalysis, *, to_bus: bool) -> Verdict:
        header = pending.header
        look = await pending.answer
        if isinstance(look, Refusal):
            return self._refuse(pending, look)
        span = tracing.start_child("detector.rules", header.traceparent)
        analysis.believe(birth_score=look.thresholds.events, strong_score=look.thresholds.tracking)
        picture = Picture.of(look.planes) if analysis.wants_picture(header.seconds) else None
        found = analysis.step(header.seconds, header.width, header.height, look.detections, picture)
        events = self._events(found.fired, analysis.configuration, header, span, digest=look.digest)
        if to_bus:
            with trace.use_span(span):
                for event in events:
                    self._parts.publisher.add_event(analysis.configuration, event)
        span.end()
        flow = self._report(analysis, header.seconds, to_bus=to_bus)
        elapsed = self._count(pending, "analysed")
        verdict = pack_verdict(header, look.detections, found, digest=look.digest, elapsed=elapsed)
        if not to_bus:
            verdict.events.extend(events)
            if flow is not None:
                verdict.flow.CopyFrom(pack_flow(analysis.configuration, flow))
        return verdict

    def _events(
        self,
        firings: Sequence[FiredRule],
        configuration: OpticConfiguration,
        header: FrameHeader,
        span: trace.Span,
        *,
        digest: str,
    ) -> list[Event]:
        # Without traces of its own the detector hands on the one that it was given.
        traceparent = tracing.traceparent(span) or header.traceparent
        for fired in firings:
            self._parts.metrics.fired.labels(fired.topic).inc()
            span.add_event("rule.fired", {"rule": fired.specification.name, "topic": fired.topic})
        return [pack_event(configuration, header, fired, digest=digest, traceparent=traceparent) for fired in firings]

    def _refuse(self, pending: _Pending, refusal: Refusal) -> Verdict:
        elapsed = self._count(pending, refusal.name.lower())
        digest = self._parts.scheduler.model.digest
        return pack_refusal(pending.header, _OUTCOMES[refusal], digest=digest, elapsed=elapsed)

    def _count(self, pending: _Pending, outcome: str) -> float:
        elapsed = time.monotonic() - pending.arrived
        self._parts.metrics.frames.labels(outcome).inc()
        self._parts.metrics.verdict_seconds.observe(elapsed)
        return elapsed

    def _report(self, analysis: OpticAnalysis, now: float | None, *, to_bus: bool) -> Flow | None:
        """Hand on tracks and counts when they are due; `now` is the capture time, None at the end of the stream.

        Returns:
            The counts that were due.
        """
        tracks_due = self._due(self._reported_tracks, now, self._parts.observation_interval)
        counts_due = self._due(self._reported_counts, now, self._parts.flow_interval)
        self._reported_tracks = now if tracks_due or self._reported_tracks is None else self._reported_tracks
        self._reported_counts = now if counts_due or self._reported_counts is None else self._reported_counts
        observations = analysis.observations() if tracks_due else []
        flow = analysis.flow() if counts_due else None
        if to_bus:
            self._parts.publisher.add_observations(analysis.configuration, observations)
            if flow is not None:
                self._parts.publisher.add_flow(analysis.configuration, flow)
        return flow

    @staticmethod
    def _due(last: float | None, now: float | None, interval: float) -> bool:
        # A clock that was set back must not silence the reports until it has caught up.
        return now is None or (last is not None and not 0.0 <= now - last < interval)


def _tell_not_running(analysis: OpticAnalysis) -> None:
    for rule, why in analysis.not_running.items():
        log.warning("rule.not_running", rule=rule, why=why, configuration_version=analysis.configuration.version)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
