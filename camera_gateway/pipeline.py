"""Coded pictures of one session to pictures: a short line, then the decoder in the pool of threads.

One slow decoder holds up nobody else: each session has one thread of the pool at most, and for a short turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import av.error

from camera_gateway.decoding import VideoDecoder
from camera_gateway.domain.clock import Presentation, Stamp
from camera_gateway.domain.effort import DecodeEffort
from camera_gateway.domain.line import Line
from camera_gateway.domain.liveness import Reason
from camera_gateway.sources import Listener, Outcome, SourceError, deliver
from camera_gateway.views import Samplers, Views

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

UNITS_A_TURN: Final = 16
"""Coded pictures that are decoded in one turn of a thread: a decoder that catches up does not wait for each of them."""

TURN_SECONDS: Final = 0.03
"""Of processor time, after which the thread goes to the next session, whatever is left."""

MAX_FRUITLESS_UNITS: Final = 250
"""Coded pictures in a row without a picture before the session is given up: ten seconds of an ordinary camera."""

MAX_FRUITLESS_KEYS: Final = 10
"""The same for key pictures, of which one is enough to see something."""

MAX_REORDERED: Final = 32
"""Twice as many pictures as a decoder may hold back (16: H.264 and H.265, annex A)."""


@dataclasses.dataclass(frozen=True, slots=True)
class CodedPicture:
    """One coded picture.

    Attributes:
        data: as the decoder takes it.
        stamp: when it was captured.
        arrival: when its last byte arrived, monotonic seconds.
        key: whether decoding can begin with it.
        reference: whether others may refer to it.
        damaged: whether a part of it was lost on the way.
    """

    data: bytes = dataclasses.field(repr=False)
    stamp: Stamp
    arrival: float
    key: bool = True
    reference: bool = True
    damaged: bool = False


class _Decoding:
    """The decoder and samplers of one session; used by one pool thread at a time."""

    def __init__(self, decoder: VideoDecoder, samplers: Samplers) -> None:
        self._decoder = decoder
        self._samplers = samplers
        self._presentation = Presentation()
        self._ordinal = 0
        self._origins: dict[int, CodedPicture] = {}
        self.fruitless = self.fruitless_keys = 0
        """Coded pictures, and key pictures among them, since the last picture."""

    def run(self, units: deque[CodedPicture]) -> Outcome:
        """Decode coded pictures for one turn and sample what comes out; what there was no time for stays."""
        outcome = Outcome()
        began, ends = time.monotonic(), time.thread_time() + TURN_SECONDS
        while units:
            unit = units.popleft()
            before = outcome.decoded
            self._decode(unit, outcome)
            decoded = outcome.decoded > before
            self.fruitless = 0 if decoded else self.fruitless + 1
            self.fruitless_keys = 0 if decoded else self.fruitless_keys + unit.key
            # Whoever has not had that much time at all has not used it either: that costs no system call to know.
            if time.monotonic() - began >= TURN_SECONDS and time.thread_time() >= ends:
                break
        outcome.settle()
        return outcome

    def _decode(self, unit: CodedPicture, outcome: Outcome) -> None:
        self._ordinal += 1
        self._origins[self._ordinal] = unit
        self._origins.pop(self._ordinal - MAX_REORDERED, None)
        try:
            frames = self._decoder.decode(unit.data, self._ordinal)
        except av.error.FFmpegError:
            outcome.failed += 1
            return
        for frame in frames:
            origin = self._origins.pop(frame.pts, unit) if frame.pts is not None else unit
            if origin.damaged:
                # Decoded all the same: the next pictures refer to it. What is missing in it was made up by the decoder.
                outcome.failed += 1
            elif (captured := self._presentation.admit(origin.stamp)) is not None:
                self._samplers.sample(frame, captured, origin.arrival, outcome)
            else:
                outcome.drop("out_of_order")


class DecodePipeline:
    """Decodes the coded pictures of one session and tells the listener.

    Args:
        decoder: of the session.
        views: of the stream.
        pool: where decoding runs.
        listener: hears what comes out.
        clock: the present in the arrivals' time.
    """

    def __init__(
        self,
        decoder: VideoDecoder,
        views: Views,
        pool: Executor,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decoding = _Decoding(decoder, Samplers(views))
        self._views = views
        self._pool = pool
        self._listener = listener
        self._clock = clock
        self._line: Line[CodedPicture] = Line()
        self._effort = DecodeEffort(views.rate)
        self._over: asyncio.Future[None] | None = None
        self._at_work = False

    def put(self, unit: CodedPicture) -> None:
        """A coded picture came."""
        if not self._effort.wants(key=unit.key, reference=unit.reference, now=unit.arrival):
            self._listener.on_skipped(1)
            return
        if dropped := self._line.put(unit, self._clock()):
            self._tell(dropped)
        if not self._at_work:
            self._begin_turn()

    async def run(self) -> None:
        """Decode until cancelled.

        Raises:
            SourceError: nothing that comes can be decoded.
        """
        self._over = asyncio.get_running_loop().create_future()
        self._begin_turn()
        try:
            await self._over
        finally:
            # What a thread still has in hand belongs to the past.
            self._over = None

    def _begin_turn(self) -> None:
        # A turn ends in a call on the loop and not in a future of asyncio: those take the loop round three times.
        if self._over is None or self._at_work:
            return
        self._effort.want(self._views.rate)
        units, dropped = self._line.take(UNITS_A_TURN, self._clock())
        if dropped:
            self._tell(dropped)
        if units:
            self._at_work = True
            self._pool.submit(self._turn, deque(units), self._over)

    def _turn(self, units: deque[CodedPicture], over: asyncio.Future[None]) -> None:
        """On a thread of the pool."""
        outcome: Outcome | Exception
        try:
            outcome = self._decoding.run(units)
        except Exception as error:  # noqa: BLE001  # raised again where the session waits
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            over.get_loop().call_soon_threadsafe(self._end_turn, units, outcome)

    def _end_turn(self, left: deque[CodedPicture], outcome: Outcome | Exception) -> None:
        self._at_work = False
        if self._over is None or self._over.done():
            return
        try:
            self._take_outcome(left, outcome)
        except Exception as error:  # noqa: BLE001  # raised again where the session waits
            self._over.set_exception(error)

    def _take_outcome(self, left: deque[CodedPicture], outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        self._line.put_back(left)
        fruitless = self._decoding.fruitless
        if fruitless > MAX_FRUITLESS_UNITS or self._decoding.fruitless_keys > MAX_FRUITLESS_KEYS:
            deliver(outcome, self._listener)
            raise SourceError(Reason.DECODE_ERRORS, f"{fruitless} coded pictures in a row do not decode")
        # The thread goes on while the loop hands over what it made.
        self._begin_turn()
        deliver(outcome, self._listener)

    def _tell(self, dropped: int) -> None:
        self._listener.on_dropped("decoder_behind", dropped)


def now() -> tuple[float, float]:
    """The time of an arrival: Unix and monotonic seconds."""
    return time.time(), time.monotonic()


@dataclasses.dataclass(frozen=True, slots=True)
class Decoding:
    """Where and how what comes is decoded.

    Attributes:
        pool: the threads.
        views: of the optics that look at the stream.
        make_decoder: makes the decoder of a session of FFmpeg's decoder's name and its parameter sets.
    """

    pool: Executor
    views: Views
    make_decoder: Callable[[str, bytes], VideoDecoder] = VideoDecoder

    def pipeline(self, decoder: str, parameter_sets: bytes, listener: Listener) -> DecodePipeline:
        """The pipeline of a session."""
        return DecodePipeline(self.make_decoder(decoder, parameter_sets), self.views, self.pool, listener)


async def until_first_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
