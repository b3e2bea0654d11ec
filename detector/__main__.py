"""The detector as a process: composition root."""

from __future__ import annotations

import sys

from argo.detector.v1 import detection_service_pb2_grpc
from detector.assembly import make_scheduler, model_source, stream_parts
from detector.metrics import DetectorMetrics
from detector.model_watch import ModelWatch
from detector.publisher import Publisher
from detector.service import DetectionServicer
from detector.settings import DetectorSettings
from mesh import lifecycle
from mesh.bus import Bus

NAME = "detector"
SERVICE = "argo.detector.v1.DetectionService"


async def compose(application: lifecycle.Application[DetectorSettings]) -> None:
    """Load and warm up the model, connect the bus, add the servicer."""
    settings = application.settings
    metrics = DetectorMetrics(application.metrics)
    source = model_source(settings)
    wish, model = source.start()
    bus = await application.enter(
        Bus.connect(settings.nats_url, name=NAME, tls=settings.tls, metrics=application.metrics)
    )
    publisher = Publisher(
        bus, interval=settings.event_interval_seconds, capacity=settings.outbox_capacity, metrics=metrics
    )
    scheduler = make_scheduler(settings, model, metrics)
    watch = ModelWatch(source, wish, scheduler, metrics, interval=settings.model_watch_seconds)
    servicer = DetectionServicer(stream_parts(settings, scheduler, publisher, metrics))
    application.grpc.add(detection_service_pb2_grpc.add_DetectionServiceServicer_to_server, servicer, SERVICE)
    await model.warm_up(scheduler.parameters.most_frames)
    application.spawn("scheduler", scheduler.run())
    application.spawn("publisher", publisher.run())
    application.spawn("model-watch", watch.run())
    application.on_drain("streams", servicer.drain)
    application.on_drain("publisher", publisher.flush)


def main() -> int:
    """Serve until a signal; the exit status."""
    return lifecycle.main(NAME, DetectorSettings, compose)


if __name__ == "__main__":
    sys.exit(main())
