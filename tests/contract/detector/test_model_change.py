"""Another model while streams are open: through the real service, from cards and files."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import structlog

from argo.detector.v1 import detection_service_pb2
from detector.model import Model
from detector.model_watch import ModelSource, ModelWatch
from mesh.errors import StartupError
from tests.contract.detector.harness import RunningDetector, first, frame, run_detector
from tests.contract.streams import next_message
from tests.unit.detector.networks import network_of_open_shape, one_person, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from mesh.authority import CertificateAuthority

Verdict = detection_service_pb2.Verdict


@dataclass(frozen=True)
class Place:
    """Where a detector finds its models; `old` and `new` are there, and `old` is wanted."""

    directory: Path
    old: str
    new: str

    @property
    def name_file(self) -> Path:
        return self.directory / "wanted"

    def source(self) -> ModelSource:
        return ModelSource("centernet-mobilenetv3", self.name_file, self.directory, 1)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    directory = tmp_path / "models"
    directory.mkdir()
    old = put(directory, one_person(0.5, left=8.0), name="old", events=0.6)
    new = put(directory, one_person(0.5, left=32.0), name="new", events=0.3)
    (directory / "wanted").write_text("old\n")
    return Place(directory, old, new)


@asynccontextmanager
async def watching(place: Place, authority: CertificateAuthority) -> AsyncIterator[tuple[RunningDetector, ModelWatch]]:
    source = place.source()
    wish, model = source.start()
    async with run_detector(model, authority) as detector:
        scheduler = detector.parts.scheduler
        try:
            yield detector, ModelWatch(source, wish, scheduler, detector.parts.metrics, interval=0.02)
        finally:
            scheduler.model.close()


def at_work(detector: RunningDetector, name: str, digest: str) -> float | None:
    labels = {"model": name, "digest": digest, "provider": "CPUExecutionProvider"}
    return detector.registry.get_sample_value("argo_detector_model_info", labels)


def refused(detector: RunningDetector) -> float | None:
    return detector.registry.get_sample_value("argo_detector_model_changes_total", {"outcome": "refused"})


async def looks(call: Any, numbers: range) -> list[detection_service_pb2.Verdict]:
    verdicts = []
    for number in numbers:
        await call.write(frame(number, seconds=number / 10, width=64, height=64))
        verdicts.append(await next_message(call, Verdict))
    return verdicts


async def test_an_open_stream_goes_on_with_the_new_model_and_says_so(
    place: Place, authority: CertificateAuthority
) -> None:
    async with watching(place, authority) as (detector, watch):
        call = detector.stub.Analyze()
        await call.write(first(every_frame=True))
        before = detector.parts.scheduler.model
        verdicts = await looks(call, range(1, 7))
        place.name_file.write_text("new")
        with structlog.testing.capture_logs() as logs:
            await watch.check()
        verdicts += await looks(call, range(7, 13))
        await call.done_writing()
        shown = at_work(detector, "old", place.old), at_work(detector, "new", place.new)
        with pytest.raises(RuntimeError, match="after shutdown"):
            await before.analyze([])

    assert [verdict.model_digest for verdict in verdicts] == [place.old] * 6 + [place.new] * 6
    assert {verdict.outcome for verdict in verdicts} == {Verdict.OUTCOME_ANALYSED}
    lefts = [verdict.detections[0].box.left for verdict in verdicts]
    np.testing.assert_allclose(lefts, [0.125] * 6 + [0.5] * 6)
    # The old card's score for events is above what its model gives; the new card's is not.
    assert not any(verdict.detections[0].track for verdict in verdicts[:6])
    assert verdicts[-1].detections[0].track
    assert shown == (None, 1.0)
    assert [entry["event"] for entry in logs] == ["model.loaded", "model.changed"]
    assert (logs[-1]["model"], logs[-1]["before_digest"]) == ("new", place.old)


async def test_the_old_model_looks_until_the_new_one_is_warm(
    place: Place, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    warming, go_on = asyncio.Event(), asyncio.Event()
    warm_up = Model.warm_up

    async def held(self: Model, frames: int = 1) -> None:
        warming.set()
        await go_on.wait()
        await warm_up(self, frames)

    monkeypatch.setattr(Model, "warm_up", held)
    async with watching(place, authority) as (detector, watch):
        task = asyncio.create_task(watch.run())
        call = detector.stub.Analyze()
        await call.write(first(every_frame=True))
        place.name_file.write_text("new")
        await warming.wait()
        await call.write(frame(1))
        during = await next_message(call, Verdict)
        go_on.set()
        while detector.parts.scheduler.model.digest != place.new:
            await asyncio.sleep(0.01)
        await call.write(frame(2))
        after = await next_message(call, Verdict)
        await call.done_writing()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert (during.outcome, during.model_digest) == (Verdict.OUTCOME_ANALYSED, place.old)
    assert (after.outcome, after.model_digest) == (Verdict.OUTCOME_ANALYSED, place.new)


def no_such_card(place: Place) -> None:
    place.name_file.write_text("newer")


def no_file(place: Place) -> None:
    (place.directory / "new.onnx").unlink()


def other_digest(place: Place) -> None:
    (place.directory / "new.onnx").write_bytes(one_person(0.9))


def no_network(place: Place) -> None:
    put(place.directory, b"nothing that onnxruntime reads", name="new")


def keypoints(place: Place) -> None:
    # Its axes are open, so that only the warm-up tells.
    put(place.directory, network_of_open_shape("predictions", np.zeros((1, 59, 84), np.float32)), name="new")


def no_numbers(place: Place) -> None:
    put(place.directory, one_person(float("nan")), name="new")


def no_name(place: Place) -> None:
    place.name_file.unlink()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (no_such_card, "no model 'newer' in the catalogue"),
        (no_file, "put new.onnx there"),
        (other_digest, "will not be loaded"),
        (no_network, "cannot load the model"),
        (keypoints, "1 x 59 x 84"),
        (no_numbers, "no numbers"),
        (no_name, "cannot be read"),
    ],
)
async def test_a_new_model_that_cannot_serve_leaves_the_old_one_at_work(
    place: Place, authority: CertificateAuthority, spoil: Callable[[Place], None], problem: str
) -> None:
    async with watching(place, authority) as (detector, watch):
        place.name_file.write_text("new")
        spoil(place)
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                await watch.check()
        requests: Sequence[detection_service_pb2.AnalyzeRequest] = [first(every_frame=True), frame(1)]
        verdicts = [verdict async for verdict in detector.stub.Analyze(aiter_of(requests))]
        count, shown = refused(detector), at_work(detector, "old", place.old)

    told = [entry for entry in logs if entry["event"] == "model.change_refused"]
    assert [verdict.model_digest for verdict in verdicts] == [place.old]
    assert len(told) == count == shown == 1.0
    assert problem in told[0]["problem"]
    assert told[0]["at_work"] == "old"


async def test_a_refused_model_is_tried_again_when_its_file_changes(
    place: Place, authority: CertificateAuthority
) -> None:
    whole = (place.directory / "new.onnx").read_bytes()
    async with watching(place, authority) as (detector, watch):
        place.name_file.write_text("new")
        (place.directory / "new.onnx").write_bytes(whole[:100])
        await watch.check()
        half_copied = detector.parts.scheduler.model.digest
        (place.directory / "new.onnx").write_bytes(whole)
        await watch.check()
        copied = detector.parts.scheduler.model.digest

    assert (half_copied, copied) == (place.old, place.new)


async def test_a_new_file_behind_the_same_name_is_another_model(place: Place, authority: CertificateAuthority) -> None:
    async with watching(place, authority) as (detector, watch):
        digest = put(place.directory, one_person(0.8), name="old")
        await watch.check()

        assert detector.parts.scheduler.model.digest == digest
        assert at_work(detector, "old", place.old) is None


async def test_while_nothing_else_is_wanted_the_model_stays(place: Place, authority: CertificateAuthority) -> None:
    async with watching(place, authority) as (detector, watch):
        model = detector.parts.scheduler.model
        (place.directory / "old.onnx").touch()
        for _ in range(3):
            await watch.check()

        assert detector.parts.scheduler.model is model
        assert refused(detector) is None


def test_without_a_name_the_start_is_refused(place: Place) -> None:
    no_name(place)
    with pytest.raises(StartupError, match="cannot be read"):
        place.source().start()


async def aiter_of(
    requests: Sequence[detection_service_pb2.AnalyzeRequest],
) -> AsyncIterator[detection_service_pb2.AnalyzeRequest]:
    for request in requests:
        yield request
