"""One core: how many sub streams it carries, what a main stream costs, and how long a frame is on its way."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from argo.registry.v1 import scene_pb2
from bench.gateway_films import SUB
from bench.gateway_world import World, cameras, gateway_world, policy
from bench.results import Result
from camera_gateway.domain.effort import WINDOW

LEAST_STREAMS = 40
LATEST_SECONDS = 0.5
SHARE_RECEIVED = 0.98
"""Of the frames that the cameras sent: fewer, and the core does not carry them."""
STEPS = (40, 50, 60, 70, 80, 90, 100, 110, 120)
ATTEMPTS = 2
"""At each step: a hiccup of the machine is not the gateway's."""
MAIN_STREAMS = 4
MAIN_WIDTH = 768
"""At which a main stream is analysed unless the policy says otherwise."""
MAIN_RATE = 5.0
"""Analysed frames per second of a main stream: the gateway's own default."""
EVERY_FRAME = policy(2 * SUB.rate, SUB.size[0])
"""At twice the camera's rate the gate, which keeps the rate, never holds a picture back for having come early."""
WAY_STREAMS = 8
HEARTBEAT = 0.5
"""The same of a still scene; a main stream's key pictures come as often."""
_SETTINGS = {"ARGO_CAPACITY": "1000", "ARGO_DECODE_THREADS": "2"}
_CORE = 0
_SETTLE_SECONDS = 6.0
_RATES_KNOWN_SECONDS = 1.5 * WINDOW
"""After so long the gateway knows the camera's rates, and decodes no more than is asked for."""
_PATIENCE = 60.0


@dataclass(frozen=True)
class Load:
    """What the gateway did under a number of streams.

    Attributes:
        streams: how many.
        decoded: pictures per second, of all streams.
        frames: per second that reached the detector, of all streams.
        latest: 99th percentile of the worst stream, from capture to the detector, seconds.
        median: of all streams together.
        late: their 99th percentile.
        cpu: seconds of the gateway's processor time per second.
        others: the same, of this process, which is detector and anonymizer.
    """

    streams: int
    decoded: float
    frames: float
    latest: float
    median: float
    late: float
    cpu: float
    others: float

    def carried(self, rate: int) -> bool:
        """Whether hardly a frame was lost, and none was late."""
        return self.frames >= SHARE_RECEIVED * self.streams * rate and self.latest <= LATEST_SECONDS

    def __str__(self) -> str:
        return (
            f"{self.streams} streams: {self.frames:.0f} frames/s, p99 of the worst {self.latest * 1000:.0f} ms, "
            f"gateway {self.cpu:.2f}, detector and anonymizer {self.others:.2f} of a core"
        )


@dataclass(frozen=True)
class MainCase:
    """What is asked of a main stream.

    Attributes:
        name: what is decoded of it.
        rate: analysed pictures per second.
    """

    name: str
    rate: float


MAIN_CASES = (
    MainCase("every picture decoded", MAIN_RATE),
    MainCase("key pictures decoded, one of fifty", HEARTBEAT),
)


def measure(sub: Path, main: Path, seconds: float, steps: Sequence[int] = STEPS) -> list[Result]:
    """The figures of one core; each load is measured for ``seconds``."""
    return asyncio.run(_measure(sub, main, seconds, steps))


async def _measure(sub: Path, main: Path, seconds: float, steps: Sequence[int]) -> list[Result]:
    with _elsewhere():
        carried, tried = await _ramp(sub, seconds, steps)
        costs = [await _main_cost(case, main, seconds) for case in MAIN_CASES]
    way = await _load(sub, WAY_STREAMS, seconds, pinned=False)
    return [*_capacity(carried, tried), *costs, _way(way)]


async def _ramp(sub: Path, seconds: float, steps: Sequence[int]) -> tuple[Load | None, Load]:
    """The largest load that one core carried, and the last one that was tried."""
    carried: Load | None = None
    tried: Load | None = None
    async with gateway_world(_SETTINGS) as world, cameras(sub, max(steps), 1) as addresses:
        _pin(world.process, {_CORE})
        registered = 0
        for streams in steps:
            await world.register(addresses[registered:streams], 1, EVERY_FRAME, first=registered)
            registered = streams
            await _streaming(world, streams)
            for _ in range(ATTEMPTS):
                await asyncio.sleep(_SETTLE_SECONDS)
                tried = await _observe(world, streams, seconds)
                if tried.carried(SUB.rate):
                    break
            else:
                break
            carried = tried
    assert tried is not None  # there is a first step
    return carried, tried


async def _load(
    film: Path,
    streams: int,
    seconds: float,
    *,
    rules: scene_pb2.Policy = EVERY_FRAME,
    settle: float = _SETTLE_SECONDS,
    pinned: bool = True,
) -> Load:
    async with gateway_world(_SETTINGS) as world, cameras(film, streams, 1) as addresses:
        if pinned:
            _pin(world.process, {_CORE})
        await world.register(addresses, 1, rules)
        await _streaming(world, streams)
        await asyncio.sleep(settle)
        return await _observe(world, streams, seconds)


async def _streaming(world: World, streams: int) -> None:
    """Until all stream, or for as long as anybody would wait: then the figures will say so."""
    with contextlib.suppress(TimeoutError):
        await world.until_streaming(streams, _PATIENCE)


async def _observe(world: World, streams: int, seconds: float) -> Load:
    own = psutil.Process()
    decoded = await _decoded(world)
    world.arrivals.clear()
    started, before, own_before = time.monotonic(), processor_seconds(world.process), processor_seconds(own)
    await asyncio.sleep(seconds)
    took = time.monotonic() - started
    cpu, others = processor_seconds(world.process) - before, processor_seconds(own) - own_before
    seen = [sorted(each) for each in world.arrivals.seconds.values()]
    together = sorted(second for each in seen for second in each)
    load = Load(
        streams,
        decoded=(await _decoded(world) - decoded) / took,
        frames=(len(together) + world.arrivals.unknown) / took,
        latest=max((percentile(each, 0.99) for each in seen), default=math.inf),
        median=percentile(together, 0.5),
        late=percentile(together, 0.99),
        cpu=cpu / took,
        others=others / took,
    )
    print(f"bench: {load}", file=sys.stderr, flush=True)
    return load


async def _decoded(world: World) -> int:
    """Pictures since the sessions began."""
    return sum(session.counters.frames_received for session in await world.sessions())


def _capacity(carried: Load | None, tried: Load) -> list[Result]:
    """How many; what was tried last explains where it ends."""
    shown = carried or tried
    beyond = "nothing beyond was tried" if tried is carried else f"not carried: {tried}"
    return [
        Result(
            "gateway, one core: most sub streams 640x360 at 5/s, no frame lost, p99 of the worst at most 500 ms",
            f"{carried.streams if carried else 0} streams",
            f"{carried}; {beyond}" if carried else beyond,
            bound=f">= {LEAST_STREAMS}",
            holds=carried is not None and carried.streams >= LEAST_STREAMS,
        ),
        Result(
            "gateway: processor time per sub stream, all of it analysed",
            f"{1000 * shown.cpu / (shown.frames or math.inf):.2f} ms a frame",
            f"{100 * shown.cpu / shown.streams:.1f} % of a core a stream; "
            f"{shown.streams / (shown.cpu or math.inf):.0f} of them would fill it",
        ),
    ]


async def _main_cost(case: MainCase, film: Path, seconds: float) -> Result:
    rules = policy(case.rate, MAIN_WIDTH, heartbeat=HEARTBEAT)
    load = await _load(film, MAIN_STREAMS, seconds, rules=rules, settle=_RATES_KNOWN_SECONDS)
    return Result(
        f"gateway: processor time per main stream 1920x1080 at 25/s, {case.name}, through the motion gate at 768x432",
        f"{100 * load.cpu / load.streams:.1f} % of a core",
        f"{load.decoded / load.streams:.1f} frames/s of it decoded, {load.frames / load.streams:.1f} analysed; {load}",
    )


def _way(load: Load) -> Result:
    return Result(
        f"gateway: a frame's way from the camera to the detector's input, {load.streams} sub streams",
        f"p50 {1000 * load.median:.1f} ms, p99 {1000 * load.late:.1f} ms",
        str(load),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above; infinite where there is none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def processor_seconds(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return times.user + times.system


def _pin(process: psutil.Process, cores: set[int]) -> None:
    """Keep all threads of a process on some cores; the ones that they start stay there too."""
    for thread in process.threads():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """This process, and what it starts, leaves one core alone, where there are several."""
    before = os.sched_getaffinity(0)
    _pin(psutil.Process(), before - {_CORE} or before)
    try:
        yield
    finally:
        _pin(psutil.Process(), before)
