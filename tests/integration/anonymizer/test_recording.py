from __future__ import annotations

# ruff: noqa: ASYNC240 - a test may wait for its own small files
import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import av
import prometheus_client
import pytest
from structlog.testing import capture_logs

from anonymizer.domain.frame import MaskedFrame, Size
from anonymizer.domain.holding import Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.encoder import Encoder
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.recording import Recorder
from anonymizer.sealing import SealBrokenError, read_wrapping_key
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping
from mesh.errors import NotFound, StartupError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OPTIC = "devices/piazza-1/optics/north"
KEY, OTHER_KEY = b"\1" * 32, b"\2" * 32
WEEK = timedelta(days=7)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING_HELD = Holds()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def store(folder: Path) -> RecordingStore:
    return RecordingStore(open_objects(folder.as_uri()), FileWrapping(KEY))


@pytest.fixture
def registry() -> prometheus_client.CollectorRegistry:
    return prometheus_client.CollectorRegistry()


def in_time(_segment: SegmentName) -> bool:
    return False


async def at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def recorder(
    store: RecordingStore, executor: ThreadPoolExecutor, registry: prometheus_client.CollectorRegistry
) -> AsyncIterator[Recorder]:
    recorder = Recorder(store, AnonymizerMetrics(registry), executor, is_over=in_time, pause=at_once)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def record(recorder: Recorder, frames: int, *, start: datetime = NOON, retention: timedelta = WEEK) -> None:
    """So many pictures of an optic at 5 per second."""
    encoder = Encoder(Size(128, 96))
    track = recorder.track(OPTIC, retention)
    for number in range(frames):
        captured = start.timestamp() + number / 5
        track.add(encoder.encode(MaskedFrame.blank(number, captured, Size(128, 96))))
    track.end()


async def segments_of(store: RecordingStore) -> list[SegmentName]:
    return sorted([segment async for segment in store.segments()], key=lambda segment: segment.start)


async def test_what_is_recorded_plays_again_with_every_picture(recorder: Recorder, store: RecordingStore) -> None:
    record(recorder, 120)
    await recorder.drain()
    segments = await segments_of(store)
    contents = [await store.read(segment) for segment in segments]

    times = []
    for segment, content in zip(segments, contents, strict=True):
        with av.open(io.BytesIO(content), "r") as container:
            assert container.metadata.get("encoder") is None
            times += [segment.start.timestamp() + picture.time for picture in container.decode(video=0)]
    expected = [NOON.timestamp() + number / 5 for number in range(120)]
    assert len(segments) == 3
    assert segments[0].start == NOON
    assert times == pytest.approx(expected, abs=1e-3)


async def test_nothing_readable_lies_on_the_disk(recorder: Recorder, folder: Path) -> None:
    record(recorder, 30)
    await recorder.drain()
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert len(files) == 2
    for path in files:
        content = path.read_bytes()
        assert b"ftyp" not in content
        assert b"moov" not in content
        with pytest.raises(av.FFmpegError):
            av.open(io.BytesIO(content))


async def test_without_the_key_nothing_opens(recorder: Recorder, store: RecordingStore, folder: Path) -> None:
    record(recorder, 30)
    await recorder.drain()
    segment, *_ = await segments_of(store)
    stranger = RecordingStore(open_objects(folder.as_uri()), FileWrapping(OTHER_KEY))

    with pytest.raises(SealBrokenError):
        await stranger.read(segment)


async def test_one_flipped_bit_or_another_name_breaks_the_seal(
    recorder: Recorder, store: RecordingStore, folder: Path
) -> None:
    record(recorder, 100)
    await recorder.drain()
    first, second = await segments_of(store)
    (folder / second.name).write_bytes((folder / first.name).read_bytes())
    flipped = bytearray((folder / first.name).read_bytes())
    flipped[100] ^= 1
    (folder / first.name).write_bytes(flipped)

    for segment in (first, second):
        with pytest.raises(SealBrokenError):
            await store.read(segment)


async def test_a_restarted_process_reads_what_the_one_before_wrote(
    recorder: Recorder, store: RecordingStore, folder: Path
) -> None:
    record(recorder, 30)
    await recorder.drain()
    segment, *_ = await segments_of(store)
    again = RecordingStore(open_objects(folder.as_uri()), FileWrapping(KEY))

    assert (await again.read(segment))[4:8] == b"ftyp"


async def test_a_dead_store_is_said_once_and_the_segments_arrive_when_it_is_back(
    recorder: Recorder, store: RecordingStore, folder: Path, registry: prometheus_client.CollectorRegistry
) -> None:
    folder.rmdir()
    folder.write_text("in the way")
    with capture_logs() as logs:
        record(recorder, 30)
        await asyncio.wait([waiting := asyncio.create_task(recorder.drain())], timeout=0.3)
        stuck, available = not waiting.done(), registry.get_sample_value("argo_anonymizer_store_available")
        folder.unlink()
        folder.mkdir()
        await waiting

    events = [entry["event"] for entry in logs]
    assert (stuck, available) == (True, 0)
    assert events == ["recording.store_failed", "recording.store_recovered"]
    assert len(await segments_of(store)) == 1


async def test_what_does_not_fit_in_memory_gives_way_oldest_first(
    store: RecordingStore, executor: ThreadPoolExecutor, registry: prometheus_client.CollectorRegistry
) -> None:
    recorder = Recorder(store, AnonymizerMetrics(registry), executor, is_over=in_time, waiting_bytes=1)
    for minute in range(3):
        record(recorder, 5, start=NOON + timedelta(minutes=minute))
    task = asyncio.create_task(recorder.run())
    await recorder.drain()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    kept = [segment.start for segment in await segments_of(store)]
    dropped = registry.get_sample_value("argo_anonymizer_segments_total", {"optic": OPTIC, "outcome": "dropped"})
    assert kept == [NOON + timedelta(minutes=2)]
    assert dropped == 2


async def test_what_waited_beyond_its_term_is_not_written_any_more(
    store: RecordingStore, executor: ThreadPoolExecutor, registry: prometheus_client.CollectorRegistry
) -> None:
    now = NOON + timedelta(minutes=59)
    recorder = Recorder(store, AnonymizerMetrics(registry), executor, is_over=lambda segment: segment.expires <= now)
    record(recorder, 5, retention=timedelta(hours=1))
    record(recorder, 5, start=NOON - timedelta(minutes=1), retention=timedelta(hours=1))
    task = asyncio.create_task(recorder.run())
    await recorder.drain()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [segment.start for segment in await segments_of(store)] == [NOON]
    assert registry.get_sample_value("argo_anonymizer_segments_total", {"optic": OPTIC, "outcome": "expired"}) == 1


async def test_the_week_is_over_and_nothing_is_left(recorder: Recorder, store: RecordingStore, folder: Path) -> None:
    record(recorder, 30)
    record(recorder, 30, start=NOON + timedelta(days=1))
    await recorder.drain()

    before = await store.erase_due(NOON + WEEK - timedelta(microseconds=1), NOTHING_HELD)
    first = await store.erase_due(NOON + WEEK, NOTHING_HELD)
    left = await segments_of(store)
    rest = await store.erase_due(NOON + timedelta(days=9), NOTHING_HELD)

    assert [erasure.segments for erasure in (before, first, rest)] == [0, 1, 1]
    assert [segment.start for segment in left] == [NOON + timedelta(days=1)]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_shorter_term_of_the_policy_holds(recorder: Recorder, store: RecordingStore) -> None:
    record(recorder, 30, retention=timedelta(hours=1))
    await recorder.drain()

    assert (await store.erase_due(NOON + timedelta(minutes=59), NOTHING_HELD)).segments == 0
    assert (await store.erase_due(NOON + timedelta(hours=1), NOTHING_HELD)).segments == 1


async def test_a_segment_that_was_erased_is_not_found(recorder: Recorder, store: RecordingStore) -> None:
    record(recorder, 30)
    await recorder.drain()
    segment, *_ = await segments_of(store)
    await store.erase_due(NOON + WEEK, NOTHING_HELD)

    with pytest.raises(NotFound):
        await store.read(segment)


async def test_a_store_that_does_not_answer_is_unavailable(store: RecordingStore, folder: Path) -> None:
    folder.rmdir()
    folder.write_text("in the way")

    with pytest.raises(Unavailable):
        await store.write(SegmentName(OPTIC, NOON, timedelta(0), WEEK), b"content")


@pytest.mark.parametrize("text", ["", "01" * 31, "zz" * 32, "01" * 33])
def test_a_file_that_holds_no_key_is_a_plain_message_without_what_it_holds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)

    with pytest.raises(StartupError) as caught:
        read_wrapping_key(path)

    assert not text or text not in str(caught.value)


def test_a_store_url_that_names_no_store_is_a_plain_message() -> None:
    with pytest.raises(StartupError, match="ARGO_RECORDING_URL"):
        open_objects("gopher://nowhere")
