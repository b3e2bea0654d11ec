"""The detector as a process: composition root."""

from __future__ import annotations

import secrets
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from argo.detector.v1 import detection_service_pb2_grpc
from detector.domain.batching import BatchingParameters
from detector.domain.tracking import TrackerParameters
from detector.metrics import DetectorMetrics
from detector.model import Model, load
from detector.permissions import POLICY
from detector.publisher import Publisher
from detector.scheduling import Scheduler
from detector.service import DetectionServicer
from detector.settings import DetectorSettings
from detector.stream import StreamParts
from mesh import lifecycle
from mesh.bus import Bus

NAME = "detector"
GPU_BATCH_FRAMES = 16
SERVICE = "argo.detector.v1.DetectionService"


async def compose(application: lifecycle.Application[DetectorSettings]) -> None:
    """Load and warm up the model, connect the bus, add the servicer."""
    settings = application.settings
    metrics = DetectorMetrics(application.metrics)
    model = load(settings.model, settings.model_directory, threads=settings.inference_threads)
    bus = await application.enter(
        Bus.connect(settings.nats_url, name=NAME, tls=settings.tls, metrics=application.metrics)
    )
    publisher = Publisher(
        bus, interval=settings.event_interval_seconds, capacity=settings.outbox_capacity, metrics=metrics
    )
    batching = _batching(settings, model)
    scheduler = Scheduler(model, batching, metrics)
    servicer = DetectionServicer(_parts(settings, model, scheduler, publisher, metrics))
    application.grpc.add(detection_service_pb2_grpc.add_DetectionServiceServicer_to_server, servicer, SERVICE)
    application.grpc.allow(POLICY)
    await model.warm_up(batching.most_frames)
    application.spawn("scheduler", scheduler.run())
    application.spawn("publisher", publisher.run())
    application.on_drain("streams", servicer.drain)
    application.on_drain("publisher", publisher.flush)


def _batching(settings: DetectorSettings, model: Model) -> BatchingParameters:
    frames = settings.batch_frames or (GPU_BATCH_FRAMES if model.on_gpu else 1)
    return BatchingParameters(
        most_frames=frames,
        fill_seconds=settings.batch_fill_seconds if frames > 1 else 0.0,
        budget_seconds=settings.latency_budget_seconds,
    )


def _parts(
    settings: DetectorSettings, model: Model, scheduler: Scheduler, publisher: Publisher, metrics: DetectorMetrics
) -> StreamParts:
    zone = ZoneInfo(settings.time_zone)
    thresholds = model.card.thresholds
    return StreamParts(
        scheduler=scheduler,
        publisher=publisher,
        metrics=metrics,
        digest=model.digest,
        tracker=TrackerParameters(birth_score=thresholds.events, strong_score=thresholds.tracking),
        new_id=lambda: secrets.randbits(64),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, zone),
        observation_interval=settings.observation_interval_seconds,
        flow_interval=settings.flow_interval_seconds,
    )


def main() -> int:
    """Serve until a signal; the exit status."""
    return lifecycle.main(NAME, DetectorSettings, compose)


if __name__ == "__main__":
    sys.exit(main())
