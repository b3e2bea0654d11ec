"""Many people in one frame, and more frames than the model can look at: through the real service or its scheduler."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import prometheus_client
import pytest

from argo.detector.v1 import detection_service_pb2
from detector import model as models
from detector.domain.batching import BatchingParameters
from detector.domain.preprocessing import Planes
from detector.metrics import DetectorMetrics
from detector.scheduling import MOST_AT_WORK, Refusal, Scheduler
from tests.contract.detector.harness import first, frame, run_detector
from tests.unit.detector.networks import constant_network, one_person, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from detector.domain.detections import Detections
    from detector.domain.tiling import Attention
    from mesh.authority import CertificateAuthority

PEOPLE = 200
FRAME = Planes.unpack(64, 64, bytes(64 * 64 * 3 // 2))


def crowd() -> bytes:
    """Twenty columns and ten rows of people, each 2 x 4 pixels, in a picture of 64 x 64."""
    predictions = np.zeros((1, 8, PEOPLE + 84), np.float32)
    rows, columns = np.divmod(np.arange(PEOPLE), 20)
    predictions[0, 0, :PEOPLE], predictions[0, 1, :PEOPLE] = columns * 3 + 3, rows * 6 + 4
    predictions[0, 2, :PEOPLE], predictions[0, 3, :PEOPLE] = 2, 4
    predictions[0, 5, :PEOPLE] = 0.9
    return constant_network({"predictions": predictions})


async def test_two_hundred_people_are_two_hundred_detections_and_tracks(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async def frames() -> AsyncIterator[detection_service_pb2.AnalyzeRequest]:
        yield first(every_frame=True)
        for number in range(1, 6):
            yield frame(number, seconds=number / 10, width=64, height=64)

    put(tmp_path, crowd())
    model = models.load("own", tmp_path, threads=1)
    async with run_detector(model, authority) as detector:
        verdicts = [verdict async for verdict in detector.stub.Analyze(frames())]
    model.close()

    assert [len(verdict.detections) for verdict in verdicts] == [PEOPLE] * 5
    assert len({found.track for found in verdicts[-1].detections} - {0}) == PEOPLE


async def test_one_batch_lies_ready_and_no_more_so_that_the_newest_frame_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, one_person(0.9))
    model = models.load("own", tmp_path, threads=1)
    held, looks = threading.Event(), []
    look = model.look

    def slow(frames: Sequence[Planes], attentions: Sequence[Attention]) -> list[Detections]:
        looks.append(len(frames))
        held.wait()
        return look(frames, attentions)

    monkeypatch.setattr(model, "look", slow)
    # However slow this machine is, nothing waits for too long here.
    patient = BatchingParameters(budget_seconds=3600.0)
    scheduler = Scheduler(model, patient, DetectorMetrics(prometheus_client.CollectorRegistry()))
    running = asyncio.create_task(scheduler.run())
    with ExitStack() as streams:
        keys = [streams.enter_context(scheduler.stream(every_frame=False)) for _ in range(MOST_AT_WORK + 1)]
        taken = [scheduler.submit(key, FRAME) for key in keys[:-1]]
        while len(scheduler._queue):
            await asyncio.sleep(0)
        older, newer = scheduler.submit(keys[-1], FRAME), scheduler.submit(keys[-1], FRAME)
        waiting = len(scheduler._queue)
        held.set()
        answers = await asyncio.gather(*taken, older, newer, return_exceptions=True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    model.close()

    assert waiting == 1
    assert [answer is Refusal.OVERLOAD for answer in answers] == [False] * MOST_AT_WORK + [True, False]
    assert looks == [1] * (MOST_AT_WORK + 1)


async def test_a_frame_that_was_passed_over_gives_its_memory_back_at_once(tmp_path: Path) -> None:
    put(tmp_path, one_person(0.9))
    model = models.load("own", tmp_path, threads=1)
    scheduler = Scheduler(model, BatchingParameters(), DetectorMetrics(prometheus_client.CollectorRegistry()))
    luma = np.zeros((64, 64), np.uint8)
    kept = weakref.ref(luma)
    gc.disable()
    try:
        with scheduler.stream(every_frame=False) as key:
            older = scheduler.submit(key, Planes(luma, FRAME.blue, FRAME.red))
            scheduler.submit(key, FRAME)
            answer = await older
            del luma, older
            left = kept()
    finally:
        gc.enable()
    model.close()

    assert answer is Refusal.OVERLOAD
    assert left is None


async def test_what_is_at_work_when_the_service_ends_does_not_outlive_it(tmp_path: Path) -> None:
    put(tmp_path, one_person(0.9))
    model = models.load("own", tmp_path, threads=1)
    scheduler = Scheduler(model, BatchingParameters(), DetectorMetrics(prometheus_client.CollectorRegistry()))
    running = asyncio.create_task(scheduler.run())
    with scheduler.stream(every_frame=False) as key:
        answer = scheduler.submit(key, FRAME)
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    model.close()

    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "look"] == []
    answer.cancel()
