"""Whole files through the same road as cameras: every frame, in order, with backpressure instead of dropping.

Four stages work side by side, joined by short queues, so that decoding, inference, masking and encoding of different
frames overlap: decode -> Analyze -> verdict to Redact -> answer. A full queue stops the stage before it, and in
the end the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import av.error
import grpc
import structlog

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.camera_gateway.v1 import media_service_pb2 as media
from argo.camera_gateway.v1 import media_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2 as detection
from argo.registry.v1 import lease_service_pb2 as lease
from argo.type.v1 import media_pb2
from camera_gateway import packing
from camera_gateway.decoding import VideoDecoder, analysis_size, to_i420, turned
from camera_gateway.domain.clock import CaptureTime, TimeSource
from camera_gateway.sources import Picture
from mesh.errors import ArgoError, FieldViolation, InvalidArgument, ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Executor

    from av.video.frame import VideoFrame

    from camera_gateway.road import Peers

log = structlog.get_logger(__name__)

DECODERS: Final = {
    media_pb2.CodecParameters.CODEC_H264: "h264",
    media_pb2.CodecParameters.CODEC_H265: "hevc",
    media_pb2.CodecParameters.CODEC_MJPEG: "mjpeg",
    media_pb2.CodecParameters.CODEC_MPEG4: "mpeg4",
    media_pb2.CodecParameters.CODEC_MSMPEG4_V3: "msmpeg4",
    media_pb2.CodecParameters.CODEC_VP8: "vp8",
    media_pb2.CodecParameters.CODEC_VP9: "vp9",
    # FFmpeg's own "av1" decodes on hardware only.
    media_pb2.CodecParameters.CODEC_AV1: "libdav1d",
}

READ_OUT_SECONDS: Final = 2.0
MOST_QUARTER_TURNS: Final = 3
_STOPPING: Final = media.ProcessMediaResponse(stopping=True)
QUEUE_FRAMES: Final = 4
"""Frames between two stages: enough to keep both busy; at 1080p one is 3 MB."""

ItemT = TypeVar("ItemT")
Queue = asyncio.Queue[ItemT | None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Item:
    """One frame on its way."""

    frame: media_pb2.Frame
    timestamp: int
    verdict: detection.Verdict | None = None
    broken_packets: int = 0


class _Decoding:
    """Packets to frames of the detector's contract; used by one pool thread at a time."""

    def __init__(self, parameters: media_pb2.CodecParameters, start: float, quarter_turns: int = 0) -> None:
        self._start = start
        self._quarter_turns = quarter_turns
        self._decoder = VideoDecoder(
            DECODERS[parameters.codec], parameters.extradata, size=(parameters.width, parameters.height)
        )
        self._seconds_per_tick = parameters.time_base_numerator / parameters.time_base_denominator
        self._number = 0
        self.broken = 0

    def run(self, packet: media_pb2.AccessUnit | None) -> list[_Item]:
        """The frames that come out after a packet; None flushes."""
        try:
            if packet is None:
                frames = self._decoder.decode(None)
            else:
                frames = self._decoder.decode(packet.data, packet.presentation_timestamp) if packet.data else []
        except av.error.FFmpegError:
            self.broken += 1
            return []
        return [self._item(frame) for frame in frames]

    def _item(self, frame: VideoFrame) -> _Item:
        self._number += 1
        timestamp = frame.pts if frame.pts is not None else self._number - 1
        width, height = analysis_size(frame.width, frame.height, frame.width)
        seconds = self._start + max(0.0, timestamp * self._seconds_per_tick)
        taken = CaptureTime(seconds, 0.0, TimeSource.FILE)
        i420 = functools.partial(to_i420, frame, width, height)
        if self._quarter_turns:
            i420 = functools.partial(turned, i420(), width, height, self._quarter_turns)
        if self._quarter_turns % 2:
            width, height = height, width
        picture = Picture(i420, width, height, taken, time.monotonic())
        return _Item(packing.frame(picture, self._number), timestamp, broken_packets=self.broken)


class MediaJob:
    """The processing of one file.

    Args:
        parameters: what the client asked for, already checked.
        packets: the client's messages after the first.
        peers: the detector and the anonymizer.
        pool: where decoding runs.
    """

    def __init__(
        self,
        parameters: media.ProcessMediaRequest.Parameters,
        packets: AsyncIterator[media.ProcessMediaRequest],
        peers: Peers,
        pool: Executor,
    ) -> None:
        self._parameters = parameters
        self._packets = packets
        self._peers = peers
        self._pool = pool
        self._decoding = _Decoding(
            parameters.codec, parameters.start_time.ToNanoseconds() / 1e9, parameters.quarter_turns
        )
        self._discarding = False
        self._decoded: Queue[_Item] = asyncio.Queue(QUEUE_FRAMES)
        self._looked_at: Queue[_Item] = asyncio.Queue(QUEUE_FRAMES)
        self._to_mask: Queue[_Item] = asyncio.Queue(QUEUE_FRAMES)
        self._answers: Queue[media.ProcessMediaResponse] = asyncio.Queue(QUEUE_FRAMES)

    async def run(self) -> AsyncIterator[media.ProcessMediaResponse]:
        """The answers, one per decoded frame, in presentation order.

        Raises:
            InvalidArgument: MEDIA_UNDECODABLE.
            Unavailable: DETECTOR_UNAVAILABLE, ANONYMIZER_UNAVAILABLE.
        """
        work = asyncio.create_task(self._work(), name="media")
        try:
            while (answer := await self._next(work)) is not None:
                yield answer
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _next(self, work: asyncio.Task[None]) -> media.ProcessMediaResponse | None:
        """The next answer; raises what ended the work before its end."""
        if not self._answers.empty():
            return self._answers.get_nowait()
        getting = asyncio.ensure_future(self._answers.get())
        try:
            await asyncio.wait({getting, work}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                await work
            return await getting
        finally:
            getting.cancel()

    async def _work(self) -> None:
        configuration = lease.OpticConfiguration(version=1, display_name="file")
        configuration.MergeFrom(self._parameters.configuration)
        configuration.optic = f"devices/media/optics/m-{secrets.token_hex(8)}"
        analyze = self._peers.analyze()
        redact = self._peers.redact() if self._parameters.return_masked_video else None
        reading = asyncio.ensure_future(self._decode())
        stages = [
            asyncio.ensure_future(stage)
            for stage in (
                self._analyze(analyze, configuration),
                self._judge(analyze, redact, configuration),
                *([self._mask(redact)] if redact is not None else []),
            )
        ]
        try:
            await asyncio.gather(reading, *stages)
        except ArgoError:
            await _ended(*stages)
            await self._read_out(reading)
            raise
        finally:
            await _ended(reading, *stages)
            analyze.cancel()
            if redact is not None:
                redact.cancel()

    async def _read_out(self, reading: asyncio.Future[None]) -> None:
        """Let the client stop writing, for a while: grpc hides our status from a client that is still writing."""
        self._discarding = True
        telling = asyncio.ensure_future(self._answers.put(_STOPPING))

        async def empty() -> None:
            while True:
                await self._decoded.get()

        emptying = asyncio.ensure_future(empty())
        await asyncio.wait([reading], timeout=READ_OUT_SECONDS)
        emptying.cancel()
        telling.cancel()

    async def _decode(self) -> None:
        loop = asyncio.get_running_loop()
        frames = 0
        async for request in self._packets:
            if request.WhichOneof("message") != "packet":
                raise InvalidArgument("only packets may follow the parameters", reason="PACKET_EXPECTED")
            if self._discarding:
                continue
            for item in await loop.run_in_executor(self._pool, self._decoding.run, request.packet):
                frames += 1
                await self._decoded.put(item)
        for item in await loop.run_in_executor(self._pool, self._decoding.run, None):
            frames += 1
            await self._decoded.put(item)
        if not frames and not self._discarding:
            raise InvalidArgument("no packet of the file can be decoded", reason="MEDIA_UNDECODABLE")
        await self._decoded.put(None)

    async def _analyze(self, call: Any, configuration: lease.OpticConfiguration) -> None:
        with _peer("detector"):
            opening = detection.AnalyzeRequest(configuration=configuration, mode=detection.ANALYSIS_MODE_EVERY_FRAME)
            await call.write(opening)
            while (item := await self._decoded.get()) is not None:
                await call.write(packing.analyze_request(item.frame))
                await self._looked_at.put(item)
            await call.done_writing()
        await self._looked_at.put(None)

    async def _judge(self, analyze: Any, redact: Any, configuration: lease.OpticConfiguration) -> None:
        if redact is not None:
            with _peer("anonymizer"):
                await redact.write(self._redact_opening(configuration))
        while (item := await self._looked_at.get()) is not None:
            with _peer("detector"):
                verdict = await _answer(analyze, item)
            item = dataclasses.replace(item, verdict=verdict)
            if redact is None:
                await self._answers.put(self._response(item))
                continue
            with _peer("anonymizer"):
                await redact.write(packing.redact_request(item.frame, verdict, item.timestamp))
            await self._to_mask.put(item)
        if redact is None:
            await self._answers.put(None)
            return
        with _peer("anonymizer"):
            await redact.done_writing()
        await self._to_mask.put(None)

    async def _mask(self, call: Any) -> None:
        while (item := await self._to_mask.get()) is not None:
            with _peer("anonymizer"):
                result = await _answer(call, item)
            response = self._response(item)
            response.masked.CopyFrom(result.masked)
            response.masked_fraction = result.masked_fraction
            response.unverdicted = result.basis != redaction.RedactResponse.BASIS_VERDICT
            await self._answers.put(response)
        await self._answers.put(None)

    def _response(self, item: _Item) -> media.ProcessMediaResponse:
        assert item.verdict is not None
        response = media.ProcessMediaResponse(
            frame_number=item.frame.sequence,
            presentation_timestamp=item.timestamp,
            verdict=item.verdict,
            unverdicted=item.verdict.outcome != detection.Verdict.OUTCOME_ANALYSED,
            broken_packets=item.broken_packets,
        )
        if not self._parameters.return_detections:
            del response.verdict.detections[:], response.verdict.tracks[:]
        return response

    def _redact_opening(self, configuration: lease.OpticConfiguration) -> redaction.RedactRequest:
        return redaction.RedactRequest(
            configuration=configuration, mode=redaction.REDACTION_MODE_RETURN, output=self._parameters.codec
        )


class MediaService(media_service_pb2_grpc.MediaServiceServicer):
    """Processes files.

    Args:
        peers: the detector and the anonymizer.
        pool: where decoding runs.
        max_streams: how many files at once.
    """

    def __init__(self, peers: Peers, pool: Executor, max_streams: int) -> None:
        self._peers = peers
        self._pool = pool
        self._max_streams = max_streams
        self._streams = 0

    async def ProcessMedia(  # noqa: N802  # the contract's name
        self,
        request_iterator: AsyncIterator[media.ProcessMediaRequest],
        _context: grpc.aio.ServicerContext[media.ProcessMediaRequest, media.ProcessMediaResponse],
    ) -> AsyncIterator[media.ProcessMediaResponse]:
        """Sends every frame through the detector and the anonymizer.

        Raises:
            InvalidArgument: PARAMETERS_EXPECTED, CODEC_NOT_TAKEN, PACKET_EXPECTED, MEDIA_UNDECODABLE.
            ResourceExhausted: MEDIA_BUSY.
            Unavailable: DETECTOR_UNAVAILABLE, ANONYMIZER_UNAVAILABLE.
        """
        if self._streams >= self._max_streams:
            yield _STOPPING
            await _read_out(request_iterator)
            raise ResourceExhausted("this gateway processes as many files as it may", reason="MEDIA_BUSY")
        self._streams += 1
        try:
            parameters = await _parameters(request_iterator)
            job = MediaJob(parameters, request_iterator, self._peers, self._pool)
            async for response in job.run():
                yield response
        finally:
            self._streams -= 1


async def _read_out(requests: AsyncIterator[media.ProcessMediaRequest]) -> None:
    """Let a client that is refused finish writing, for a while; see `MediaJob`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READ_OUT_SECONDS):
            async for _ in requests:
                pass


async def _parameters(requests: AsyncIterator[media.ProcessMediaRequest]) -> media.ProcessMediaRequest.Parameters:
    first = await anext(requests, None)
    if first is None or first.WhichOneof("message") != "parameters":
        raise InvalidArgument("the first message must carry the parameters", reason="PARAMETERS_EXPECTED")
    codec = first.parameters.codec
    violations = []
    if codec.codec not in DECODERS:
        violations.append(FieldViolation("parameters.codec.codec", "must be one of the codecs that are taken"))
    if not (codec.time_base_numerator and codec.time_base_denominator):
        violations.append(FieldViolation("parameters.codec.time_base_denominator", "a tick must last some time"))
    if first.parameters.quarter_turns > MOST_QUARTER_TURNS:
        violations.append(FieldViolation("parameters.quarter_turns", "must be 0 to 3"))
    if violations:
        raise InvalidArgument("the codec parameters cannot be used", reason="CODEC_NOT_TAKEN", violations=violations)
    return first.parameters


async def _ended(*stages: asyncio.Future[None]) -> None:
    for stage in stages:
        stage.cancel()
    await asyncio.gather(*stages, return_exceptions=True)


async def _answer(call: Any, item: _Item) -> Any:
    answer = await call.read()
    if answer is grpc.aio.EOF or answer.sequence != item.frame.sequence:
        raise asyncio.InvalidStateError("the peer did not answer this frame")
    return answer


class _peer:  # noqa: N801  # reads as a statement
    """Turns the failures of a peer's stream into UNAVAILABLE with the peer's name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        cancelled = isinstance(error, asyncio.CancelledError) and not _being_cancelled()
        if cancelled or isinstance(error, grpc.RpcError | asyncio.InvalidStateError):
            reason = f"{self._name.upper()}_UNAVAILABLE"
            raise Unavailable(f"the {self._name} is away", reason=reason) from error


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
