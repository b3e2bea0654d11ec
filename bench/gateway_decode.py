"""Decode, gate and hand-over of many optics in one process, beside as many bare PyAV loops in one process."""

from __future__ import annotations

import asyncio
import ipaddress
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any, cast

import av
import av.logging
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
from camera_gateway.pipeline import MAX_WAITING_UNITS, CodedPicture, DecodePipeline, Decoding, until_first_ends
from camera_gateway.settings import GatewaySettings
from camera_gateway.setup import SessionSetup
from camera_gateway.sources import Listener, Source
from mesh.authority import CertificateAuthority
from mesh.rpc.channel import open_channel
from mesh.testing import settings_of

BOUND = 0.9
OPTICS = (1, 8, 32)
ROUNDS = 5
LEAST_FRAMES = 4000
"""Of all optics together in a round: some three seconds."""

_CLOCK_RATE = 90_000
_AHEAD = MAX_WAITING_UNITS // 2
_NOBODY = "127.0.0.1:1"


def measure(film: Path, optics: Sequence[int] = OPTICS, rounds: int = ROUNDS) -> list[Result]:
    """One ratio for each number of optics; bare and ours take turns, and the median of each counts."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    av.logging.set_level(None)
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
        return [await _compare(gateway, units, number, rounds) for number in optics]


async def _compare(gateway: _Gateway, units: Sequence[CodedUnit], optics: int, rounds: int) -> Result:
    threads = min(optics, cpu_count() or 1)
    film = list(units) * max(1, round(LEAST_FRAMES / optics / len(units)))
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(_bare(film, optics, threads))
        ours.append(await gateway.play(film, optics, threads))
    return Result.at_least(
        f"gateway: decode, gate, hand-over, {optics} optics",
        (statistics.median(ours), "frames/s"),
        (statistics.median(bare), f"frames/s, bare PyAV, {threads} threads"),
        BOUND,
    )


def _bare(film: Sequence[CodedUnit], optics: int, threads: int) -> float:
    """Frames per second of one loop for each optic."""

    def loop() -> int:
        context = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        return sum(len(context.decode(av.Packet(unit.data))) for unit in film)

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        frames = sum(pool.map(lambda _: loop(), range(optics)))
        return frames / (time.perf_counter() - started)


@dataclass(frozen=True)
class _Gateway:
    """What the gateway's sessions are made of."""

    settings: GatewaySettings
    peers: AnalysisClient

    async def play(self, film: Sequence[CodedUnit], optics: int, threads: int) -> float:
        """Frames per second of sessions, from coded pictures to the slots of their roads."""
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

    async def play(self) -> float:
        """Frames per second from the first picture put in to the last one handed over."""
        await self._ready.wait()
        started = time.perf_counter()
        self._start.set()
        await self._done.wait()
        return self._frames / (time.perf_counter() - started)

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
        room = asyncio.Semaphore(_AHEAD)
        pipeline = self._decoding.pipeline("h264", b"", cast("Listener", _Metered(listener, room, self._reel)))
        await until_first_ends(self._feed(pipeline, room), pipeline.run())

    async def _feed(self, pipeline: DecodePipeline, room: asyncio.Semaphore) -> None:
        await self._reel.begin()
        clock, unix, monotonic = CaptureClock(_CLOCK_RATE), time.time(), time.monotonic()
        for number, unit in enumerate(self._reel.film):
            await room.acquire()
            after = number / SUB.rate
            stamp = clock.stamp(number * _CLOCK_RATE // SUB.rate % 2**32, unix + after)
            pipeline.put(CodedPicture(unit.data, stamp, monotonic + after, key=unit.key))
        await asyncio.Event().wait()


class _Metered:
    """Passes everything on, and makes room for as many coded pictures as came out."""

    def __init__(self, listener: Listener, room: asyncio.Semaphore, reel: _Reel) -> None:
        self._listener = listener
        self._room = room
        self._reel = reel
        self._left = len(reel.film)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """See `Listener`."""
        self._listener.on_received(pictures, width, height)
        self._left -= pictures
        for _ in range(pictures):
            self._room.release()
        if self._left == 0:
            # The last picture is handed over in the same turn of the loop.
            asyncio.get_running_loop().call_soon(self._reel.end)
