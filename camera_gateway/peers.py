"""One stream of frames to a peer, kept open: reconnects by itself, says its configuration first and when it changes.

Every request is answered by one response with the same sequence. Whoever submits a request gets a future that always
ends: with the response, or with None when the peer is away, goes away, or had no time for it.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import grpc
import structlog

from camera_gateway.domain.slot import NewestSlot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 1.0
"""A peer that is back must be in use within two seconds; its own health check and the channel's wait come on top."""

STUCK_SECONDS = 10.0
"""A frame that was not answered for so long never will be: the stream is opened anew."""


class Answer(Protocol):
    """What a peer answers with."""

    @property
    def sequence(self) -> int:
        """The sequence of the frame that it answers."""


AnswerT = TypeVar("AnswerT", bound=Answer)


class PeerStream(Generic[AnswerT]):
    """A stream of frames to one peer.

    Args:
        peer: the peer's name in logs and metrics.
        optic: the resource name, for the log.
        open_call: opens the RPC (the stub's method).
        opening: makes the first message of a stream, and the message that announces a new configuration.
        max_in_flight: how many frames may wait for their answers; more are not submitted.
    """

    def __init__(
        self,
        peer: str,
        optic: str,
        *,
        open_call: Callable[[], Any],
        opening: Callable[[], Any],
        max_in_flight: int,
    ) -> None:
        self._peer = peer
        self._optic = optic
        self._open_call = open_call
        self._opening = opening
        self._max_in_flight = max_in_flight
        self._outgoing: NewestSlot[tuple[int, Any]] = NewestSlot()
        self._wake = asyncio.Event()
        self._reconfigure = False
        self._pending: dict[int, asyncio.Future[AnswerT | None]] = {}
        self._asked: dict[int, float] = {}
        self._call: Any = None
        self.connected = False
        """Whether the peer has answered on the present stream, or is being tried for the first time."""

    @property
    def busy(self) -> bool:
        """Whether as many frames wait for their answers as may."""
        return len(self._pending) >= self._max_in_flight

    def configure(self) -> None:
        """The configuration has changed: say so before the next frame."""
        self._reconfigure = True
        self._wake.set()

    def submit(self, sequence: int, request: Any) -> asyncio.Future[AnswerT | None]:
        """Offer a frame; a frame that is still waiting to be written gives way to it."""
        future: asyncio.Future[AnswerT | None] = asyncio.get_running_loop().create_future()
        if not self.connected or self.busy:
            self._end_if_stuck()
            future.set_result(None)
            return future
        if (displaced := self._outgoing.take()) is not None:
            self._resolve(displaced[0], None)
        self._pending[sequence] = future
        self._asked[sequence] = time.monotonic()
        self._outgoing.put((sequence, request))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Keep the stream open until cancelled."""
        retry = FIRST_RETRY_SECONDS
        told = False
        while True:
            answered = await self._converse()
            retry = FIRST_RETRY_SECONDS if answered else min(LAST_RETRY_SECONDS, 2 * retry)
            if answered or not told:
                told = True
                log.warning("peer.lost", peer=self._peer, optic=self._optic)
            # Hundreds of optics lose a peer at once; they do not come back at once.
            await asyncio.sleep(retry * (0.5 + 0.5 * random.random()))  # noqa: S311  # jitter

    async def _converse(self) -> bool:
        """One stream from opening to end; True when the peer answered at all."""
        answered = False
        call = self._call = self._open_call()
        writer: asyncio.Task[None] | None = None
        try:
            await call.write(self._opening())
            self._reconfigure, self.connected = False, True
            writer = asyncio.create_task(self._write(call), name=f"{self._peer}-writer")
            async for response in self._read(call):
                if not answered:
                    answered = True
                    log.info("peer.answered", peer=self._peer, optic=self._optic)
                self._resolve(response.sequence, response)
        except asyncio.CancelledError:
            # grpc.aio raises this also where the call was cancelled and not the task.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            log.debug("peer.stream_ended", peer=self._peer, optic=self._optic, code=_code(error))
        finally:
            self.connected = False
            call.cancel()
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            self._abandon()
        return answered

    async def _read(self, call: Any) -> AsyncIterator[AnswerT]:
        while (response := await call.read()) is not grpc.aio.EOF:
            yield response

    async def _write(self, call: Any) -> None:
        # A write that waits for the peer's window must not be cancelled for a newer frame: that would end the call.
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._reconfigure:
                self._reconfigure = False
                await call.write(self._opening())
            if (item := self._outgoing.take()) is not None:
                await call.write(item[1])

    def _resolve(self, sequence: int, answer: AnswerT | None) -> None:
        future = self._pending.pop(sequence, None)
        self._asked.pop(sequence, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def _end_if_stuck(self) -> None:
        oldest = next(iter(self._asked.values()), None)
        if oldest is not None and time.monotonic() - oldest > STUCK_SECONDS:
            log.warning("peer.stuck", peer=self._peer, optic=self._optic, seconds=STUCK_SECONDS)
            self._call.cancel()
            self._asked.clear()

    def _abandon(self) -> None:
        self._outgoing.take()
        for sequence in list(self._pending):
            self._resolve(sequence, None)


def _code(error: Exception) -> str:
    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
