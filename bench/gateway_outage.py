"""Six hundred optics in one gateway process, all cut at once, all back: memory, processor time, how long it takes."""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from bench.gateway_core import processor_seconds
from bench.gateway_films import LIGHT
from bench.gateway_world import World, cameras, gateway_world, policy
from bench.results import Result

DEVICES, OPTICS = 150, 4
MEMORY_BOUND = 1.05
BACK_SECONDS = 120.0
CUT_FROM, CUT_FOR = 0.35, 0.2
"""Shares of the whole time: when all are cut, and for how long."""
_SAMPLE_SECONDS = 1.0
_MEMORY_SHARE = 0.1
"""Of the whole time: over so much of it, before the cut and at the end, the memory's median is taken."""


@dataclass(frozen=True)
class Sample:
    """The gateway at one time.

    Attributes:
        at: seconds since the cameras began.
        streaming: optics whose pictures come.
        memory: resident bytes.
        processor: user and system seconds so far.
    """

    at: float
    streaming: int
    memory: int
    processor: float


@dataclass(frozen=True)
class Course:
    """How it went.

    Attributes:
        optics: how many there are.
        cut: seconds after the beginning when all were cut.
        back: likewise, when they could be reached again.
        end: likewise, when it was over.
        samples: one a second.
    """

    optics: int
    cut: float
    back: float
    end: float
    samples: Sequence[Sample]

    def memory(self, since: float, until: float) -> float:
        """Median of the resident bytes, MiB."""
        found = [sample.memory for sample in self.samples if since <= sample.at < until]
        return statistics.median(found) / 2**20 if found else math.nan

    def cores(self, since: float, until: float) -> float:
        """Processor time per second."""
        found = [sample for sample in self.samples if since <= sample.at < until]
        first, last = found[0], found[-1]
        return (last.processor - first.processor) / (last.at - first.at)

    @property
    def healthy_after(self) -> float:
        """Seconds from the cameras' return until all streamed; infinite if they never all did."""
        after = [sample.at for sample in self.samples if sample.at > self.back and sample.streaming == self.optics]
        return after[0] - self.back if after else math.inf

    @property
    def all_were_cut(self) -> bool:
        """Whether the cut reached everyone, after everyone had streamed."""
        before = [sample.streaming for sample in self.samples if sample.at < self.cut]
        during = [sample.streaming for sample in self.samples if self.cut < sample.at < self.back]
        return max(before, default=0) == self.optics and min(during, default=self.optics) == 0


def measure(film: Path, seconds: float, devices: int = DEVICES) -> list[Result]:
    """The figures of an outage that is a fifth of ``seconds`` long."""
    return _results(asyncio.run(_course(film, seconds, devices)), seconds)


async def _course(film: Path, seconds: float, devices: int) -> Course:
    cut, outage = CUT_FROM * seconds, CUT_FOR * seconds
    settings = {"ARGO_CAPACITY": "1000"}
    async with gateway_world(settings) as world:
        fault = f"at {cut:.0f} for {outage:.0f} offline"
        # The simulator's clock starts with it; its films are played as they are, so that it is ready at once.
        began = time.monotonic()
        async with cameras(film, devices, OPTICS, fault) as addresses:
            await world.register(addresses, OPTICS, policy(2 * LIGHT.rate, LIGHT.size[0]))
            samples = await _watch(world, began, seconds)
    return Course(devices * OPTICS, cut, cut + outage, seconds, samples)


async def _watch(world: World, began: float, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    process = world.process
    while (at := time.monotonic() - began) < seconds:
        sessions = await world.sessions()
        streaming = sum(session.state == gateway.Session.STATE_STREAMING for session in sessions)
        samples.append(_sample(process, at, streaming))
        if len(samples) % 10 == 0:
            memory = samples[-1].memory / 2**20
            print(f"bench: {at:.0f} s: {streaming} optics stream, {memory:.0f} MiB", file=sys.stderr, flush=True)
        await asyncio.sleep(_SAMPLE_SECONDS)
    if world.process.pid != process.pid:
        raise SystemExit("bench: the gateway died")
    return samples


def _sample(process: psutil.Process, at: float, streaming: int) -> Sample:
    return Sample(at, streaming, process.memory_info().rss, processor_seconds(process))


def _results(course: Course, seconds: float) -> list[Result]:
    share = _MEMORY_SHARE * seconds
    before, after = course.memory(course.cut - share, course.cut), course.memory(course.end - share, course.end)
    what = f"gateway, {course.optics} optics for {seconds:.0f} s, all cut for {course.back - course.cut:.0f} s"
    healthy = course.healthy_after
    return [
        Result(f"{what}: every optic streamed before, none during", "", holds=course.all_were_cut),
        Result(
            f"{what}: until all stream again",
            f"{healthy:.0f} s" if math.isfinite(healthy) else f"{course.samples[-1].streaming} optics at the end",
            bound=f"<= {BACK_SECONDS:.0f} s",
            holds=healthy <= BACK_SECONDS,
        ),
        Result.at_most(
            f"{what}: resident memory at the end", (after, "MiB"), (before, "MiB, before the cut"), MEMORY_BOUND
        ),
        Result(
            f"{what}: processor time during the outage",
            f"{100 * course.cores(course.cut + 1, course.back):.0f} % of a core",
            f"{100 * course.cores(course.cut - share, course.cut):.0f} % while all stream",
        ),
    ]
