"""The road of one optic: newest picture -> detector -> anonymizer.

The detector away or late: the picture goes to the anonymizer without a verdict and is masked more. The anonymizer away:
analysis goes on. Neither ever makes a picture wait longer than the verdict's deadline.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import trace

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.detector.v1 import detection_service_pb2 as detection
from camera_gateway import packing
from camera_gateway.domain.slot import NewestSlot
from camera_gateway.peers import PeerStream
from mesh import tracing

if TYPE_CHECKING:
    from collections.abc import Callable

    from argo.registry.v1 import lease_service_pb2 as lease
    from argo.type.v1 import media_pb2
    from camera_gateway.sources import Picture

MAX_IN_FLIGHT = 4
"""Pictures of one optic that may wait for an answer of one peer."""


class RoadListener(Protocol):
    """Hears what becomes of the pictures of one optic; called on the event loop."""

    def on_sent(self) -> None:
        """A picture was offered to the detector."""

    def on_superseded(self) -> None:
        """A picture was replaced by a newer one before anybody had time for it."""

    def on_verdict(self, verdict: detection.Verdict, seconds: float) -> None:
        """The detector looked at a picture; ``seconds`` after it arrived."""

    def on_no_verdict(self, reason: str) -> None:
        """A picture goes on without a look at it."""

    def on_masked(self, result: redaction.RedactResponse, seconds: float) -> None:
        """The anonymizer masked a picture; ``seconds`` after it arrived."""

    def on_not_masked(self, reason: str) -> None:
        """A picture was not masked and goes nowhere."""


class Peers(Protocol):
    """Opens the RPCs to the detector and the anonymizer."""

    def analyze(self) -> Any:
        """A new Analyze call."""

    def redact(self) -> Any:
        """A new Redact call."""


class Road:
    """Carries the pictures of one optic.

    Args:
        configuration: of the optic; `configure` replaces it.
        peers: the two peers.
        listener: hears what becomes of the pictures.
        verdict_seconds: how long a picture waits for its verdict.
    """

    def __init__(
        self,
        configuration: lease.OpticConfiguration,
        peers: Peers,
        listener: RoadListener,
        verdict_seconds: float,
    ) -> None:
        self._configuration = configuration
        self._listener = listener
        self._verdict_seconds = verdict_seconds
        self._slot: NewestSlot[Picture] = NewestSlot()
        self._filled = asyncio.Event()
        self._sequence = 0
        optic = configuration.optic
        self._detector: PeerStream[detection.Verdict] = PeerStream(
            "detector", optic, open_call=peers.analyze, opening=self._analyze_opening, max_in_flight=MAX_IN_FLIGHT
        )
        self._anonymizer: PeerStream[redaction.RedactResponse] = PeerStream(
            "anonymizer", optic, open_call=peers.redact, opening=self._redact_opening, max_in_flight=MAX_IN_FLIGHT
        )

    def configure(self, configuration: lease.OpticConfiguration) -> None:
        """From the next picture on, ``configuration`` holds."""
        self._configuration = configuration
        self._detector.configure()
        self._anonymizer.configure()

    def put(self, picture: Picture) -> None:
        """Offer a picture; it replaces one that is still waiting."""
        if self._slot.put(picture):
            self._listener.on_superseded()
        self._filled.set()

    async def run(self) -> None:
        """Carry pictures until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._detector.run(), name="analyze-stream")
            group.create_task(self._anonymizer.run(), name="redact-stream")
            group.create_task(self._carry(), name="road")

    async def _carry(self) -> None:
        while True:
            while (picture := self._slot.take()) is None:
                self._filled.clear()
                await self._filled.wait()
            self._sequence += 1
            if not (self._detector.connected or self._anonymizer.connected):
                # Nobody is there who would take it: it is not even copied.
                self._listener.on_no_verdict("detector_away")
                self._listener.on_not_masked("anonymizer_away")
                continue
            frame = packing.frame(picture, self._sequence)
            span = self._trace(frame, picture.arrival) if tracing.is_on() else trace.INVALID_SPAN
            verdict = await self._look(frame, picture.arrival)
            self._mask(frame, verdict, picture.arrival, span)

    def _trace(self, frame: media_pb2.Frame, arrival: float) -> trace.Span:
        """The root of a frame's trace; it begins where the picture arrived. Recorded for sampled frames only."""
        waited = time.monotonic() - arrival
        attributes: dict[str, str | int] = {"optic": self._configuration.optic, "sequence": frame.sequence}
        span = tracing.start_root(
            "frame", start_nanoseconds=time.time_ns() - round(waited * 1e9), attributes=attributes
        )
        if span.is_recording():
            frame.traceparent = tracing.traceparent(span)
        return span

    async def _look(self, frame: media_pb2.Frame, arrival: float) -> detection.Verdict | None:
        if not self._detector.connected:
            self._listener.on_no_verdict("detector_away")
            return None
        self._listener.on_sent()
        answer = self._detector.submit(frame.sequence, packing.analyze_request(frame))
        await asyncio.wait([answer], timeout=self._verdict_seconds)
        verdict = answer.result() if answer.done() else None
        if verdict is None:
            self._listener.on_no_verdict("late" if not answer.done() else "detector_busy")
        elif verdict.outcome != detection.Verdict.OUTCOME_ANALYSED:
            overload = verdict.outcome == detection.Verdict.OUTCOME_NOT_ANALYSED_OVERLOAD
            self._listener.on_no_verdict("not_analysed_overload" if overload else "not_analysed")
        else:
            self._listener.on_verdict(verdict, time.monotonic() - arrival)
        return verdict

    def _mask(
        self, frame: media_pb2.Frame, verdict: detection.Verdict | None, arrival: float, span: trace.Span
    ) -> None:
        if not self._anonymizer.connected or self._anonymizer.busy:
            self._not_masked("anonymizer_busy" if self._anonymizer.connected else "anonymizer_away", span)
            return
        answer = self._anonymizer.submit(frame.sequence, packing.redact_request(frame, verdict))
        answer.add_done_callback(self._masked(arrival, span))

    def _masked(
        self, arrival: float, span: trace.Span
    ) -> Callable[[asyncio.Future[redaction.RedactResponse | None]], None]:
        def done(answer: asyncio.Future[redaction.RedactResponse | None]) -> None:
            if answer.cancelled() or (result := answer.result()) is None:
                self._not_masked("anonymizer_away", span)
            else:
                self._listener.on_masked(result, time.monotonic() - arrival)
                _end(span, "masked")

        return done

    def _not_masked(self, reason: str, span: trace.Span) -> None:
        self._listener.on_not_masked(reason)
        _end(span, reason)

    def _analyze_opening(self) -> detection.AnalyzeRequest:
        return detection.AnalyzeRequest(configuration=self._configuration, mode=detection.ANALYSIS_MODE_LIVE)

    def _redact_opening(self) -> redaction.RedactRequest:
        return redaction.RedactRequest(configuration=self._configuration, mode=redaction.REDACTION_MODE_LIVE)


def _end(span: trace.Span, outcome: str) -> None:
    span.set_attribute("outcome", outcome)
    span.end()
