"""argo.detector.v1.DetectionService: unpack, call, pack."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from argo.detector.v1 import detection_service_pb2, detection_service_pb2_grpc
from detector.stream import AnalysisStream, StreamParts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator


class DetectionServicer(detection_service_pb2_grpc.DetectionServiceServicer):
    """Answers Analyze.

    Args:
        parts: what every stream works with.
    """

    def __init__(self, parts: StreamParts) -> None:
        self._parts = parts
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = 0

    async def Analyze(  # noqa: N802 - the contract's name
        self, request_iterator: AsyncIterator[detection_service_pb2.AnalyzeRequest], _context: Any
    ) -> AsyncGenerator[detection_service_pb2.Verdict, None]:
        """One verdict for each frame, in order; see the contract."""
        with self._counted():
            async with aclosing(AnalysisStream(self._parts, self._stopping).run(request_iterator)) as verdicts:
                async for verdict in verdicts:
                    yield verdict

    async def drain(self) -> None:
        """End every stream, so that the gateway goes to another replica; returns when they have ended."""
        self._stopping.set()
        await self._idle.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._open += 1
        self._idle.clear()
        try:
            with self._parts.metrics.streams.track_inprogress():
                yield
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()
