"""Live view and recording: what nine more viewers cost, and what an optic costs where thirty-two are recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import av
import prometheus_client
import psutil
import structlog
from aiortc import RTCPeerConnection, RTCSessionDescription

from anonymizer.broadcast import Broadcasts
from anonymizer.domain.frame import Frame, Planes, Size
from anonymizer.domain.segments import SegmentName
from anonymizer.domain.viewing import ViewingBook
from anonymizer.exits import LiveExit
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.pipeline import Pipeline
from anonymizer.recording import Recorder
from anonymizer.store import RecordingStore, open_objects
from anonymizer.unpacking import OpticPolicy
from anonymizer.whep import WhepEndpoint
from anonymizer.wrapping import FileWrapping
from argo.anonymizer.v1 import redaction_service_pb2
from bench.results import Result
from mesh.http import serve_web
from mesh.ice import offer_loopback

SIZE = Size(640, 360)
RATE = 5.0
VIEWERS = 10
VIEWERS_BOUND = 1.3
OPTICS = 32
DELAY_BOUND_SECONDS = 2.0
_WATCHED_SECONDS = 15.0
_TURNS = 3
_RECORDED_SECONDS = 40.0
_PICTURES = 100
_WEEK = timedelta(days=7)


def measure(video: Path) -> list[Result]:
    """Both, on pictures of a video at 640x360 and five per second; CPU time, not wall time."""
    print(f"bench: one and {VIEWERS} viewers in turns, {_TURNS} times {_WATCHED_SECONDS:.0f} s each", file=sys.stderr)
    turns = [[asyncio.run(_watched_by(video, viewers)) for viewers in (1, VIEWERS)] for _ in range(_TURNS)]
    one, ten = (statistics.median(column) for column in zip(*turns, strict=True))
    print(f"bench: {OPTICS} optics recorded for {_RECORDED_SECONDS:.0f} s", file=sys.stderr)
    return [
        Result.at_most(
            f"CPU of the anonymizer, one optic with {VIEWERS} viewers",
            (ten * 1000, "ms per second"),
            (one * 1000, "ms per second with one"),
            VIEWERS_BOUND,
        ),
        *asyncio.run(_recorded(video)),
    ]


def _pictures(video: Path) -> list[Planes]:
    with av.open(str(video), "r") as container:
        frames = islice(container.decode(video=0), _PICTURES)
        scaled = (frame.reformat(SIZE.width, SIZE.height, "yuv420p").to_ndarray() for frame in frames)
        return [Planes.from_bytes(array.tobytes(), SIZE) for array in scaled]


async def _feed(optic: str, pictures: list[Planes], way_out: LiveExit, executor: ThreadPoolExecutor) -> None:
    """One optic as the gateway sends it, without verdicts: masked by motion, which costs no less."""
    pipeline, loop = Pipeline(optic), asyncio.get_running_loop()
    following = time.monotonic()
    for number, planes in enumerate(cycle(pictures)):
        # Like the gateway: what could not be sent in time is not sent late.
        following = max(following + 1 / RATE, time.monotonic())
        await asyncio.sleep(following - time.monotonic())
        frame, wish = Frame(number, time.time(), planes), way_out.take_key_frame_wish()
        redaction = await loop.run_in_executor(executor, _process, pipeline, frame, wish)
        if redaction.encoded is not None:
            way_out.put(redaction.encoded, 0, redaction_service_pb2.RedactResponse())


def _process(pipeline: Pipeline, frame: Frame, wish: bool) -> Any:  # noqa: FBT001 - called by an executor
    return pipeline.process(frame, None, key_frame=wish)


# --- viewers: the anonymizer in a process of its own, whose CPU time is read; those who watch in this one ---


async def _watched_by(video: Path, viewers: int) -> float:
    """CPU seconds per second of the process that serves so many viewers."""
    command = [sys.executable, "-m", "bench.viewing", str(video), str(viewers)]
    server = subprocess.Popen(  # noqa: ASYNC220 - a benchmark
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        told = json.loads(await asyncio.to_thread(server.stdout.readline))
        async with AsyncExitStack() as stack:
            for token in told["tokens"]:
                await stack.enter_async_context(_viewer(told["url"], token))
            spent = []
            for pause in (_WATCHED_SECONDS, 0):
                print("spent", file=server.stdin, flush=True)
                spent.append(float(await asyncio.to_thread(server.stdout.readline)))
                await asyncio.sleep(pause)
        return (spent[1] - spent[0]) / _WATCHED_SECONDS
    finally:
        server.kill()
        server.wait()


@asynccontextmanager
async def _viewer(url: str, token: str) -> AsyncIterator[None]:
    """Somebody who has seen a picture, and goes on watching within the block."""
    offer_loopback()
    peer, seen = RTCPeerConnection(), asyncio.Event()
    peer.addTransceiver("video", direction="recvonly")

    async def watch(track: Any) -> None:
        with contextlib.suppress(Exception):
            while True:
                await track.recv()
                seen.set()

    watching: list[asyncio.Task[None]] = []
    peer.on("track", lambda track: watching.append(asyncio.ensure_future(watch(track))))
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=peer.localDescription.sdp, headers=headers) as response,
    ):
        await peer.setRemoteDescription(RTCSessionDescription(await response.text(), "answer"))
    await seen.wait()
    try:
        yield
    finally:
        await peer.close()


async def _serve(video: Path, viewers: int) -> None:
    optic = "devices/bench/optics/one"
    metrics, broadcasts = AnonymizerMetrics(prometheus_client.CollectorRegistry()), Broadcasts()
    book = ViewingBook(lambda: secrets.token_urlsafe(32), lambda: f"v{secrets.token_hex(8)}")
    with ThreadPoolExecutor(1) as executor, broadcasts.fed(optic) as broadcast:
        whep = WhepEndpoint(book, broadcasts, metrics, None, executor)
        async with serve_web(whep.application(), "127.0.0.1:0") as address:
            tokens = [
                book.create(
                    optic, "operator/bench", "bench", "1", lifetime=300, most=viewers, now=time.time(), by_page=True
                )[1]
                for _ in range(viewers)
            ]
            print(json.dumps({"url": f"http://{address}/whep/bench/one", "tokens": tokens}), flush=True)
            Thread(target=_tell_time_spent, daemon=True).start()
            await _feed(optic, _pictures(video), LiveExit(broadcast, None, metrics), executor)


def _tell_time_spent() -> None:
    """Answers each line with this process's CPU time: finer than what the system tells of other processes."""
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


# --- recording ---


class _Delays:
    """Seconds from the last picture of a segment to the moment at which its bytes are safe."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def stored(self, segment: SegmentName, _size: int) -> None:
        self.seconds.append(time.time() - segment.start.timestamp() - segment.duration.total_seconds())


async def _recorded(video: Path) -> list[Result]:
    delays, process = _Delays(), psutil.Process(os.getpid())
    metrics = AnonymizerMetrics(prometheus_client.CollectorRegistry())
    pictures = _pictures(video)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as executor, ThreadPoolExecutor(2) as muxing:
        store = RecordingStore(open_objects(Path(folder).as_uri()), FileWrapping(bytes(32)))
        recorder = Recorder(store, metrics, muxing, is_over=lambda _segment: False, stored=delays.stored)
        memory, began = process.memory_info().rss, time.process_time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(recorder.run())]
            for number in range(OPTICS):
                optic = f"devices/bench/optics/o{number}"
                way_out = LiveExit(Broadcasts().fed(optic).__enter__(), recorder, metrics)
                way_out.configure(OpticPolicy(optic, 1, (), 10, _WEEK))
                tasks.append(group.create_task(_feed(optic, pictures, way_out, executor)))
            await asyncio.sleep(_RECORDED_SECONDS)
            spent, grown = time.process_time() - began, process.memory_info().rss - memory
            for task in tasks:
                task.cancel()
    late = statistics.quantiles(delays.seconds, n=100, method="inclusive")[-1]
    share = spent / _RECORDED_SECONDS / OPTICS
    return [
        Result("recording delay, 99th percentile", f"{late:.2f} s of {len(delays.seconds)}", "", None,
               f"<= {DELAY_BOUND_SECONDS:g} s", late <= DELAY_BOUND_SECONDS),
        Result(f"CPU per optic, {OPTICS} optics masked, encoded and recorded", f"{share * 1000:.0f} ms per second"),
        Result("memory per optic", f"{grown / OPTICS / 2**20:.1f} MiB"),
    ]  # fmt: skip


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    offer_loopback()
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
