"""Real video through the real service, its events read back from a real bus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from argo.detector.v1 import bus_pb2, detection_service_pb2
from argo.registry.v1 import scene_pb2
from mesh.testing import embedded_nats
from tests.contract.detector.harness import OPTIC, first, frame, run_detector
from tests.integration.detector.test_publisher import received, stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from detector.model import Model
    from mesh.authority import CertificateAuthority

SAMPLE = Path(__file__).parents[3] / "data/samples/pets09-s2l1.avi"
FRAMES = 60

pytestmark = [
    pytest.mark.models,
    pytest.mark.sample,
    pytest.mark.skipif(not SAMPLE.exists(), reason="the sample video is not there: make setup"),
]


async def playing() -> AsyncIterator[detection_service_pb2.AnalyzeRequest]:
    av = pytest.importorskip("av")
    yield first()
    with av.open(str(SAMPLE)) as container:
        for number, picture in enumerate(container.decode(video=0), 1):
            if number > FRAMES:
                return
            planes = picture.reformat(format="yuv420p").to_ndarray().tobytes()
            yield frame(number, seconds=number / 10, width=picture.width, height=picture.height, i420=planes)
            await asyncio.sleep(0.05)


async def test_people_in_the_zone_become_events_that_explain_themselves(
    tmp_path: Path, model: Model, authority: CertificateAuthority
) -> None:
    async with embedded_nats(tmp_path / "nats", authority) as nats:
        events = await received(nats, authority, "ARGO_EVENTS", bus_pb2.EventBatch)
        async with run_detector(model, authority, nats=nats.url) as detector:
            verdicts = [verdict async for verdict in detector.stub.Analyze(playing())]
            async with asyncio.timeout(30):
                batch, delivery = await events.get()
        await stop(events)

    event = batch.events[0]
    tracked = {found.track for verdict in verdicts for found in verdict.detections if found.track}
    assert delivery.subject == "argo.v1.event.camera-1.front"
    assert event.rule == f"{OPTIC}/rules/inside"
    assert (event.topic, event.place) == ("FieldDetector/ObjectsInside", f"{OPTIC}/zones/all")
    assert (event.mode, event.rule_version) == (scene_pb2.Rule.MODE_LIVE, 3)
    assert event.measurement.value >= event.measurement.threshold == 0.5
    assert event.model_digest == model.digest
    assert set(event.tracks) <= tracked
    assert any(event.rule in verdict.fired_rules for verdict in verdicts)


async def test_a_stream_of_a_file_tells_the_bus_nothing(
    tmp_path: Path, model: Model, authority: CertificateAuthority
) -> None:
    async def file() -> AsyncIterator[detection_service_pb2.AnalyzeRequest]:
        async for request in playing():
            if request.HasField("configuration"):
                request.mode = detection_service_pb2.ANALYSIS_MODE_EVERY_FRAME
            yield request

    async with (
        embedded_nats(tmp_path / "nats", authority) as nats,
        run_detector(model, authority, nats=nats.url) as detector,
    ):
        verdicts = [verdict async for verdict in detector.stub.Analyze(file())]
        await detector.publisher.flush()
        published = [
            detector.registry.get_sample_value("argo_detector_published_total", {"kind": kind})
            for kind in ("event", "observation", "flow")
        ]

    assert len(verdicts) == FRAMES
    assert any(verdict.fired_rules for verdict in verdicts)
    assert published == [None, None, None]
