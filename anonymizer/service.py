"""argo.anonymizer.v1.RedactionService: unpack, mask, pack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

from anonymizer import unpacking
from anonymizer.domain.frame import Basis
from anonymizer.exits import Exit, LiveExit, ReturnExit
from anonymizer.pipeline import Pipeline, Redaction
from argo.anonymizer.v1 import redaction_service_pb2, redaction_service_pb2_grpc
from mesh import tracing
from mesh.errors import InvalidArgument, ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.broadcast import Broadcasts
    from anonymizer.encoders import Encoders
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.recording import Recorder
    from anonymizer.unpacking import OpticPolicy

log = structlog.get_logger(__name__)

_BASES: Final = {
    Basis.VERDICT: redaction_service_pb2.RedactResponse.BASIS_VERDICT,
    Basis.UNVERDICTED: redaction_service_pb2.RedactResponse.BASIS_UNVERDICTED,
    Basis.WHOLE_PICTURE: redaction_service_pb2.RedactResponse.BASIS_WHOLE_PICTURE,
}
_Request = redaction_service_pb2.RedactRequest
_Response = redaction_service_pb2.RedactResponse


class RedactionServicer(redaction_service_pb2_grpc.RedactionServiceServicer):
    """Answers Redact.

    Args:
        executor: where frames are masked and encoded; its threads bound the CPU that all streams take together.
        broadcasts: the live pictures that streams feed.
        recorder: records them; None: nothing is recorded.
        metrics: counts frames.
        max_streams: how many streams at once.
        encoders: open encoders; None: libx264.
    """

    def __init__(
        self,
        executor: Executor,
        broadcasts: Broadcasts,
        recorder: Recorder | None,
        metrics: AnonymizerMetrics,
        max_streams: int,
        encoders: Encoders | None = None,
    ) -> None:
        self._encoders = encoders
        self._executor = executor
        self._broadcasts = broadcasts
        self._recorder = recorder
        self._metrics = metrics
        self._max_streams = max_streams
        self._open = 0
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def Redact(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[_Request], _context: Any
    ) -> AsyncIterator[_Response]:
        """One result for each frame, in order; see the contract."""
        with self._counted():
            requests = self._until_stopping(request_iterator)
            opening = await anext(requests, None)
            if opening is None:
                return
            policy = unpacking.unpack_opening(opening)
            is_live = opening.mode != redaction_service_pb2.REDACTION_MODE_RETURN
            stream = RedactionStream(policy, self._executor, self._metrics, self._encoders, is_live=is_live)
            with self._exit_for(opening.mode, policy) as way_out:
                log.info("redaction.stream_started", optic=policy.optic, exit=way_out.name)
                try:
                    async for request in requests:
                        response = await stream.answer(request, way_out)
                        if response is not None:
                            yield response
                finally:
                    log.info("redaction.stream_ended", optic=policy.optic, exit=way_out.name, frames=stream.frames)

    async def drain(self) -> None:
        """Ends every stream, so that the gateway goes to another replica; returns when they have ended."""
        self._stopping.set()
        await self._idle.wait()

    @contextmanager
    def _exit_for(self, mode: redaction_service_pb2.RedactionMode.ValueType, policy: OpticPolicy) -> Iterator[Exit]:
        if mode == redaction_service_pb2.REDACTION_MODE_RETURN:
            yield ReturnExit()
            return
        with self._broadcasts.fed(policy.optic) as broadcast:
            way_out = LiveExit(broadcast, self._recorder, self._metrics)
            way_out.configure(policy)
            try:
                yield way_out
            finally:
                way_out.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._open >= self._max_streams:
            raise ResourceExhausted("this replica carries as many streams as it may", reason="TOO_MANY_STREAMS")
        self._open += 1
        self._idle.clear()
        try:
            with self._metrics.streams.track_inprogress():
                yield
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _until_stopping(self, requests: AsyncIterator[_Request]) -> AsyncIterator[_Request]:
        """The requests, until the service stops.

        Raises:
            Unavailable: it stops.
        """
        stop = asyncio.create_task(self._stopping.wait(), name="redact-stop")
        following: asyncio.Future[_Request | None] | None = None
        try:
            while True:
                following = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait({stop, following}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    raise Unavailable("the anonymizer is stopping", reason="STOPPING")
                request = following.result()
                if request is None:
                    return
                yield request
        finally:
            stop.cancel()
            if following is not None:
                following.cancel()


class RedactionStream:
    """The frames of one optic, one after the other.

    Args:
        policy: of the optic.
        executor: where frames are masked and encoded.
        metrics: counts frames.
        is_live: people watch it now: labels are written over the pictures. Where they go back to the caller, only if
            the configuration has zones.

    Attributes:
        frames: how many were answered.
    """

    def __init__(
        self,
        policy: OpticPolicy,
        executor: Executor,
        metrics: AnonymizerMetrics,
        encoders: Encoders | None = None,
        *,
        is_live: bool,
    ) -> None:
        self._policy = policy
        self._is_live = is_live
        self._executor = executor
        self._metrics = metrics
        self._pipeline = Pipeline(policy.optic, encoders=encoders)
        self._prepare()
        self._unmasked = 0
        self.frames = 0

    async def answer(self, request: _Request, way_out: Exit) -> _Response | None:
        """The result of a frame, or None for a configuration.

        Raises:
            InvalidArgument: the frame or the configuration cannot be used.
        """
        if request.WhichOneof("message") == "configuration":
            self._configure(unpacking.unpack_configuration(request.configuration), way_out)
            return None
        if request.WhichOneof("message") is None:
            raise InvalidArgument("the message is empty", reason="INVALID_REDACT_REQUEST")
        began = time.perf_counter()
        frame = unpacking.unpack_frame(request.frame.frame)
        verdict = unpacking.unpack_verdict(request.frame.verdict) if request.frame.HasField("verdict") else None
        span = tracing.start_child("anonymizer.redact", request.frame.frame.traceparent)
        wish = way_out.take_key_frame_wish()
        redaction = await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: self._pipeline.process(frame, verdict, key_frame=wish)
        )
        response = self._response(redaction)
        if redaction.encoded is not None:
            way_out.put(redaction.encoded, request.frame.presentation_timestamp, response)
        self._metrics.seconds.observe(time.perf_counter() - began)
        if span.is_recording():
            span.set_attributes({"basis": redaction.masked.basis.value, "failed_closed": redaction.failed_closed})
            span.end()
        return response

    def _configure(self, policy: OpticPolicy, way_out: Exit) -> None:
        if policy.optic != self._policy.optic:
            raise InvalidArgument("a stream carries one optic", reason="OPTIC_CHANGED")
        self._policy = policy
        self._prepare()
        way_out.configure(policy)

    def _prepare(self) -> None:
        policy = self._policy
        self._pipeline.protect(policy.privacy_masks)
        self._pipeline.annotate(policy.zones if self._is_live or policy.zones else None)
        self._pipeline.configure(mask_whole_picture=policy.mask_whole_picture, boxes=policy.boxes)

    def _response(self, redaction: Redaction) -> _Response:
        masked, optic = redaction.masked, self._policy.optic
        self.frames += 1
        self._unmasked += redaction.unmasked
        self._metrics.frames.labels(optic, masked.basis.value).inc()
        self._metrics.failed_closed.labels(optic).inc(redaction.failed_closed)
        self._metrics.unmasked_out.labels(optic).inc(redaction.unmasked)
        self._metrics.known_fraction.labels(optic).set(redaction.known_fraction)
        return _Response(
            sequence=masked.sequence,
            masked_fraction=masked.masked_fraction,
            basis=_BASES[masked.basis],
            unmasked_frames_out=self._unmasked,
        )
