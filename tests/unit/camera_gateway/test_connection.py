from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry

from camera_gateway.decoding import Sampler
from camera_gateway.domain.liveness import LONGEST_OVERDUE, Backoff, Liveness, Reason, State, Timeouts
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.sources import Listener
from camera_gateway.stream import Stream
from camera_gateway.views import View, Views

OFTEN = 1000.0
"""Pictures wanted per second: one is overdue as soon as the camera may count as stalled."""


class Camera:
    """Shows one picture, and then goes on as it is told, for ever."""

    def __init__(self, goes_on: Callable[[Listener], None]) -> None:
        self._goes_on = goes_on

    async def run(self, listener: Listener) -> None:
        listener.on_connected()
        listener.on_received(1, 320, 240)
        while True:
            await asyncio.sleep(0.01)
            self._goes_on(listener)


class Reasons:
    """Why a stream left STREAMING."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[Reason | None] = asyncio.Queue()

    def on_stream_state(self, stream: Stream) -> None:
        if stream.liveness.state is State.BACKING_OFF:
            self.seen.put_nowait(stream.liveness.reason)

    def on_stream_clock(self, stream: Stream, drift: float) -> None: ...


def no_sampler() -> Sampler:
    raise AssertionError("nothing is sampled here")


@contextlib.asynccontextmanager
async def streaming(
    goes_on: Callable[[Listener], None], reasons: Reasons, stall: float, kind: type[Camera] = Camera
) -> AsyncIterator[Stream]:
    """A stream from a camera, running."""
    views = Views()
    views.put("one", View(OFTEN, no_sampler))
    liveness = Liveness(Timeouts(stall=stall), Backoff(shortest=0.01, longest=0.01), lambda: 0.0)
    metrics = GatewayMetrics(CollectorRegistry())
    stream = Stream("cam", kind(goes_on), views, liveness=liveness, listener=reasons, metrics=metrics, turns=None)
    running = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def nothing(_: Listener) -> None: ...


def not_needed(listener: Listener) -> None:
    listener.on_skipped(1)


def undecodable(listener: Listener) -> None:
    listener.on_skipped(3)
    listener.on_broken(1)


def behind(listener: Listener) -> None:
    listener.on_dropped("decoder_behind", 1)


def on_a_lossy_way(listener: Listener) -> None:
    listener.on_lost(1)
    listener.on_broken(1)


@pytest.mark.parametrize(
    ("goes_on", "reason"),
    [(nothing, Reason.STALL), (not_needed, Reason.DECODE_ERRORS), (undecodable, Reason.DECODE_ERRORS)],
)
async def test_a_camera_that_shows_nothing_more_leaves_streaming_whatever_it_sends(
    goes_on: Callable[[Listener], None], reason: Reason
) -> None:
    reasons = Reasons()
    async with streaming(goes_on, reasons, stall=0.2), asyncio.timeout(60):
        # Where this process had to wait for its turn itself, a later attempt tells.
        while await reasons.seen.get() is not reason:
            pass


@pytest.mark.parametrize("goes_on", [behind, on_a_lossy_way])
async def test_what_is_not_the_camera_s_fault_puts_the_end_off(goes_on: Callable[[Listener], None]) -> None:
    stall = LONGEST_OVERDUE / 2
    deadlines: list[float | None] = []

    def note(listener: Listener) -> None:
        deadlines.append(stream.liveness.deadline)
        goes_on(listener)

    async with streaming(note, Reasons(), stall) as stream, asyncio.timeout(60):
        while len(deadlines) < 3:
            await asyncio.sleep(0.01)

    first, *_, last = deadlines
    assert first is not None
    assert last is not None
    assert last > first


def well(listener: Listener) -> None:
    listener.on_received(1, 320, 240)


@pytest.mark.parametrize(("goes_on", "reason"), [(well, None), (nothing, Reason.STALL)])
async def test_a_process_that_was_held_up_reads_on_before_it_gives_a_camera_up(
    goes_on: Callable[[Listener], None], reason: Reason | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's clock leaps, as when the process was stopped: the deadlines of all cameras have passed at once."""
    reasons, ahead, went_on = Reasons(), 0.0, 0
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + ahead)

    def count(listener: Listener) -> None:
        nonlocal went_on
        goes_on(listener)
        went_on += 1

    async def go_on() -> None:
        before = went_on
        while went_on < before + 5:
            await asyncio.sleep(0.01)

    async with streaming(count, reasons, stall=1000.0), asyncio.timeout(1e6):
        await go_on()
        ahead += 2000.0
        await go_on()
        assert reasons.seen.empty()
        # The grace is over, too.
        ahead += 900.0
        if reason is not None:
            assert await reasons.seen.get() is reason
        else:
            await go_on()
            assert reasons.seen.empty()


class Clinging(Camera):
    """Goes on while it is being ended."""

    async def run(self, listener: Listener) -> None:
        try:
            await super().run(listener)
        finally:
            for _ in range(10):
                listener.on_received(1, 320, 240)
                await asyncio.sleep(0.01)


async def test_what_comes_while_a_stream_is_ended_belongs_to_the_past() -> None:
    reasons = Reasons()
    async with streaming(nothing, reasons, stall=0.2, kind=Clinging) as stream, asyncio.timeout(60):
        first, second = await reasons.seen.get(), await reasons.seen.get()
        attempts, detail = stream.connection.attempts, stream.connection.detail

    assert (first, second, attempts, detail) == (Reason.STALL, Reason.STALL, 2, "")


async def test_what_is_dropped_for_another_reason_puts_nothing_off() -> None:
    deadlines: list[float | None] = []

    def note(listener: Listener) -> None:
        deadlines.append(stream.liveness.deadline)
        listener.on_dropped("out_of_order", 1)

    async with streaming(note, Reasons(), stall=30.0) as stream, asyncio.timeout(60):
        while len(deadlines) < 3:
            await asyncio.sleep(0.01)

    assert len(set(deadlines)) == 1
