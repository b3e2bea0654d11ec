"""Decode, gate and hand-over of many optics in one process, beside as many bare PyAV loops in one process."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import itertools
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from typing import Any, cast

import av
import av.logging
import cv2
import prometheus_client
import structlog

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import scene_pb2, site_pb2
from bench.gateway_films import SUB, CodedUnit, units_of
from bench.results import Result
from camera_gateway.clients import AnalysisClient
from camera_gateway.credentials import CredentialStore
from camera_gateway.domain.clock import CaptureClock
from camera_gateway.fleet import Fleet
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.pipeline import UNITS_A_TURN, CodedPicture, DecodePipeline, Decoding
from camera_gateway.settings import GatewaySettings
from camera_gateway.setup import SessionSetup
from camera_gateway.sources import Listener, Picture, Source
from mesh.authority import CertificateAuthority
from mesh.rpc.channel import open_channel
from mesh.testing import settings_of

BOUND = 0.9
OPTICS = (1, 8, 32)
ROUNDS = 7
FRAMES = 1500
"""Of all optics together in a round: some one and a half seconds of each side."""
LEAST_FRAMES = 100
"""Of one optic in a round, so that its start does not count for much."""

_CLOCK_RATE = 90_000
_AHEAD = 2 * UNITS_A_TURN
_NOBODY = "127.0.0.1:1"


@dataclass(frozen=True)
class Speed:
    """How fast one side was in one round.

    Attributes:
        frames: per second.
        processor: seconds of processor time of the whole process for a frame.
        handed_over: share of the pictures; the others gave way to newer ones.
    """

    frames: float
    processor: float
    handed_over: float = 1.0


def measure(film: Path, optics: Sequence[int] = OPTICS, rounds: int = ROUNDS) -> list[Result]:
    """Two ratios for each number of optics; bare and ours take turns, and the median of the rounds' ratios counts."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    # As the service does it.
    av.logging.set_level(None)
    cv2.setNumThreads(1)
    gc.collect()
    gc.freeze()
    units = units_of(film)
    return asyncio.run(_compare_all(units, optics, rounds))


async def _compare_all(units: Sequence[CodedUnit], optics: Sequence[int], rounds: int) -> list[Result]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = _settings(folder)
        # Nobody answers there: pictures end at the road, as they do while the detector and the anonymizer are away.
        detector = await stack.enter_async_context(open_channel(_NOBODY, settings, peer="service/detector"))
        anonymizer = await stack.enter_async_context(open_channel(_NOBODY, settings, peer="service/anonymizer"))
        gateway = _Gateway(settings, AnalysisClient(detector, anonymizer, patient=True))
        return [result for number in optics for result in await _compare(gateway, units, number, rounds)]


async def _compare(gateway: _Gateway, units: Sequence[CodedUnit], optics: int, rounds: int) -> list[Result]:
    threads = min(optics, cpu_count() or 1)
    film = list(itertools.islice(itertools.cycle(units), max(LEAST_FRAMES, FRAMES // optics)))
    bare, ours = [], []
    for number in range(rounds):
        # Whoever comes second finds the machine as the first one left it.
        for mine in (number % 2 == 0, number % 2 == 1):
            if mine:
                ours.append(await gateway.play(film, optics, threads))
            else:
                bare.append(_bare(film, optics, threads))
    what = f"gateway: decode, gate, hand-over, {optics} optics"
    return [_in_time(what, ours, bare, threads), _of_the_processor(what, ours, bare)]


def _in_time(what: str, ours: Sequence[Speed], bare: Sequence[Speed], threads: int) -> Result:
    ratios = sorted(mine.frames / other.frames for mine, other in zip(ours, bare, strict=True))
    ratio = statistics.median(ratios)
    return Result(
        what,
        f"{statistics.median(speed.frames for speed in ours):.0f} frames/s",
        f"{statistics.median(speed.frames for speed in bare):.0f} frames/s, bare PyAV, {threads} threads; "
        f"ratios of the rounds {ratios[0]:.2f} to {ratios[-1]:.2f}",
        ratio,
        f">= {BOUND:g}",
        ratio >= BOUND,
    )


def _of_the_processor(what: str, ours: Sequence[Speed], bare: Sequence[Speed]) -> Result:
    """The same without what else the machine does: not judged, since it counts what runs beside the decoders too."""
    mine, other = (statistics.median(speed.processor for speed in side) for side in (ours, bare))
    ratio = statistics.median(one.processor / two.processor for one, two in zip(bare, ours, strict=True))
    handed_over = statistics.median(speed.handed_over for speed in ours)
    return Result(
        f"{what}: processor time",
        f"{1e6 * mine:.0f} us a frame, {100 * handed_over:.0f} % handed over, the rest superseded",
        f"{1e6 * other:.0f} us a frame, bare PyAV",
        ratio,
    )


def _bare(film: Sequence[CodedUnit], optics: int, threads: int) -> Speed:
    """One loop for each optic."""

    def loop() -> int:
        context = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        return sum(len(context.decode(av.Packet(unit.data))) for unit in film)

    with ThreadPoolExecutor(threads) as pool:
        watch = _Watch()
        return watch.speed(sum(pool.map(lambda _: loop(), range(optics))))


class _Watch:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._started, self._used = time.perf_counter(), time.process_time()

    def speed(self, frames: int) -> Speed:
        """Of so many frames since then."""
        return Speed(frames / (time.perf_counter() - self._started), (time.process_time() - self._used) / frames)


@dataclass(frozen=True)
class _Gateway:
    """What the gateway's sessions are made of."""

    settings: GatewaySettings
    peers: AnalysisClient

    async def play(self, film: Sequence[CodedUnit], optics: int, threads: int) -> Speed:
        """Of sessions, from coded pictures to the slots of their roads."""
        metrics = GatewayMetrics(prometheus_client.CollectorRegistry())
        reel = _Reel(film, optics)
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            fleet = Fleet(_FromMemory(reel, self.settings, self.peers, metrics, pool))
            for number in range(optics):
                await fleet.apply(_lease(number))
            try:
                return await reel.play()
            finally:
                await fleet.close()


def _settings(folder: Path) -> GatewaySettings:
    values = {
        **dict.fromkeys(("registry", "detector", "anonymizer"), _NOBODY),
        "nats_url": f"nats://{_NOBODY}",
        "camera_networks": (ipaddress.ip_network("127.0.0.0/8"),),
        "dials": 1000,
        "stall_seconds": 60.0,
    }
    return settings_of(CertificateAuthority(folder), "service/camera-gateway", GatewaySettings, **values)


def _lease(number: int) -> lease.DeviceLease:
    device = f"devices/camera-{number}"
    optic = lease.OpticConfiguration(
        optic=f"{device}/optics/main",
        version=1,
        site=f"sites/site-{number}",
        ingest=site_pb2.Optic.INGEST_RTSP,
        policy=scene_pb2.Policy(analysed_frame_rate=SUB.rate),
    )
    return lease.DeviceLease(device=device, address=_NOBODY, optics=[optic])


class _Reel:
    """The film in memory; all optics begin to play it at once."""

    def __init__(self, film: Sequence[CodedUnit], optics: int) -> None:
        self.film = film
        self._waiting = self._playing = optics
        self._start, self._ready, self._done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._frames = 0
        self.handed_over = 0

    async def play(self) -> Speed:
        """From the first picture put in to the last one handed over."""
        await self._ready.wait()
        watch = _Watch()
        self._start.set()
        await self._done.wait()
        return replace(watch.speed(self._frames), handed_over=self.handed_over / self._frames)

    async def begin(self) -> None:
        """An optic is ready; returns when all are."""
        self._waiting -= 1
        if not self._waiting:
            self._ready.set()
        await self._start.wait()

    def end(self) -> None:
        """An optic has decoded the whole film."""
        self._frames += len(self.film)
        self._playing -= 1
        if not self._playing:
            self._done.set()


class _FromMemory(SessionSetup):
    """The gateway's own streams and sessions; only the camera is in memory."""

    def __init__(
        self,
        reel: _Reel,
        settings: GatewaySettings,
        peers: AnalysisClient,
        metrics: GatewayMetrics,
        pool: ThreadPoolExecutor,
    ) -> None:
        super().__init__(settings, peers, metrics, CredentialStore(None), pool)
        self._reel = reel

    def _dialled(
        self, device: lease.DeviceLease, configuration: lease.OpticConfiguration, decoding: Decoding
    ) -> Source:
        return _MemorySource(self._reel, decoding)


class _MemorySource:
    """Plays the film as fast as it is decoded; the pictures are stamped as if they came at the camera's rate."""

    def __init__(self, reel: _Reel, decoding: Decoding) -> None:
        self._reel = reel
        self._decoding = decoding

    async def run(self, listener: Listener) -> None:
        """See `Source`."""
        listener.on_connected()
        units = deque(self._stamped())
        pipeline: DecodePipeline

        def refill(pictures: int) -> None:
            for _ in range(min(pictures, len(units))):
                pipeline.put(units.popleft())

        pipeline = self._decoding.pipeline("h264", b"", cast("Listener", _Metered(listener, refill, self._reel)))
        await self._reel.begin()
        refill(_AHEAD)
        await pipeline.run()

    def _stamped(self) -> Iterator[CodedPicture]:
        """As reception hands them on, which is none of what is measured."""
        clock, unix, monotonic = CaptureClock(_CLOCK_RATE), time.time(), time.monotonic()
        for number, unit in enumerate(self._reel.film):
            after = number / SUB.rate
            stamp = clock.stamp(number * _CLOCK_RATE // SUB.rate % 2**32, unix + after)
            yield CodedPicture(unit.data, stamp, monotonic + after, key=unit.key)


class _Metered:
    """Passes everything on, and has as many coded pictures put in as came out."""

    def __init__(self, listener: Listener, refill: Callable[[int], None], reel: _Reel) -> None:
        self._listener = listener
        self._refill = refill
        self._reel = reel
        self._left = len(reel.film)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        self._listener.on_received(pictures, width, height)
        self._left -= pictures
        self._refill(pictures)
        if self._left == 0:
            # The last picture is handed over in the same turn of the loop.
            asyncio.get_running_loop().call_soon(self._reel.end)

    def on_picture(self, optic: str, picture: Picture) -> None:
        """See `Listener`."""
        self._reel.handed_over += 1
        self._listener.on_picture(optic, picture)
