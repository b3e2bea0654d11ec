"""A disk that is full, and a process that is killed, in the middle of a segment."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import prometheus_client
import pytest
from structlog.testing import capture_logs

from anonymizer.broadcast import Broadcast
from anonymizer.domain.frame import MaskedFrame, Size
from anonymizer.domain.segments import SegmentName
from anonymizer.encoder import Encoder
from anonymizer.exits import LiveExit
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.recording import Recorder
from anonymizer.store import RecordingStore, open_objects
from anonymizer.unpacking import OpticPolicy
from anonymizer.wrapping import FileWrapping
from argo.anonymizer.v1 import redaction_service_pb2
from mesh.local.environment import inherited
from tests.contract.anonymizer.archive import NOON, OPTIC, WEEK

KEY = b"\1" * 32
ROOT = Path(__file__).parents[3]
KILLS = 5
FIRST_BYTES = 500
"""Of a segment that are taken; a wrapped key is shorter."""
WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from anonymizer.domain.segments import SegmentName
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping

async def write_for_ever():
    store = RecordingStore(open_objects(sys.argv[1]), FileWrapping(bytes([1]) * 32))
    number = int(sys.argv[2])
    while True:
        start = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=number)
        segment = SegmentName("devices/piazza-1/optics/north", start, timedelta(seconds=1), timedelta(days=7))
        await store.write(segment, bytes(3_000_000))
        print(segment.name, flush=True)
        number += 1

asyncio.run(write_for_ever())
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("only root can mount a disk that is small enough to be full")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def test_a_full_disk_never_stops_the_live_view_says_so_and_loses_nothing_that_fits_in_memory(
    small_disk: Path,
) -> None:
    others = small_disk / "others"

    assert await watched_while_recording_fails(
        small_disk / "recordings", lambda: fill(others), others.unlink
    ) == (120, ["recording.store_failed", "recording.store_recovered"], 3)  # fmt: skip


async def test_a_write_that_breaks_off_in_mid_segment_leaves_no_half_of_it(tmp_path: Path) -> None:
    """As of a quota: the system takes the first bytes of a segment and refuses the rest. Needs no root."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"from {__name__} import under_a_limit; under_a_limit({str(tmp_path)!r})",
        stdout=asyncio.subprocess.PIPE, env=inherited(), cwd=ROOT,
    )  # fmt: skip
    told, _ = await child.communicate()

    assert json.loads(told.splitlines()[-1]) == [120, ["recording.store_failed", "recording.store_recovered"], 3]
    files = names_below(tmp_path)
    assert sum(name.endswith(".mp4.aesgcm") for name in files) == 3
    assert not [name for name in files if "#" in name]


def names_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def under_a_limit(folder: str) -> None:
    """In a process of its own: the limit is on the size of any file that it writes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FIRST_BYTES, limits[1]))

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    print(json.dumps(asyncio.run(watched_while_recording_fails(Path(folder), limit, lift))))


async def watched_while_recording_fails(
    folder: Path, break_it: Callable[[], None], mend_it: Callable[[], None]
) -> tuple[int, list[str], int]:
    """Pictures that a viewer saw meanwhile, what was logged, and segments that can be read after it was mended."""
    registry = prometheus_client.CollectorRegistry()
    metrics = AnonymizerMetrics(registry)
    store = RecordingStore(open_objects(folder.as_uri()), FileWrapping(KEY))
    break_it()
    with ThreadPoolExecutor(1) as executor, capture_logs() as logs:
        recorder = Recorder(
            store, metrics, executor, is_over=lambda _segment: False, pause=lambda _seconds: asyncio.sleep(0)
        )
        writing = asyncio.create_task(recorder.run())
        broadcast = Broadcast(OPTIC)
        live = LiveExit(broadcast, recorder, metrics)
        live.configure(OpticPolicy(OPTIC, 1, (), 10, WEEK))
        encoder = Encoder(Size(128, 96))
        with broadcast.subscribed() as viewer:
            seen = 0
            for number in range(120):
                frame = MaskedFrame.blank(number, NOON.timestamp() + number / 5, Size(128, 96))
                live.put(encoder.encode(frame), 0, redaction_service_pb2.RedactResponse())
                await viewer.get()
                seen += 1
        live.close()
        while registry.get_sample_value("argo_anonymizer_store_available") != 0:
            await asyncio.sleep(0.01)
        mend_it()
        await recorder.drain()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    segments = [segment async for segment in store.segments()]
    assert all([await store.read(segment) for segment in segments])
    return seen, [entry["event"] for entry in logs], len(segments)


async def test_kill_9_in_the_middle_of_a_segment_leaves_nothing_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    acknowledged: list[str] = []
    for _ in range(KILLS):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, folder.as_uri(), str(1000 * len(acknowledged)),
            stdout=asyncio.subprocess.PIPE, env=inherited(),
        )  # fmt: skip
        assert child.stdout is not None
        acknowledged += [(await child.stdout.readline()).decode().strip() for _ in range(3)]
        child.kill()
        acknowledged += (await child.stdout.read()).decode().split()
        await child.wait()

    store = RecordingStore(open_objects(folder.as_uri()), FileWrapping(KEY))
    kept = {segment.name: await store.read(segment) async for segment in store.segments()}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    # The last line may have been cut off with the process; every whole one is of a segment whose bytes are safe.
    assert {name for name in acknowledged if name.endswith(".aesgcm")} <= kept.keys()
    assert all(content == bytes(3_000_000) for content in kept.values())
    assert {name for name in files if name.startswith("segments/")} == kept.keys()
    assert SegmentName.parse(max(kept)).retention == timedelta(days=7)
