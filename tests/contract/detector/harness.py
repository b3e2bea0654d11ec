"""A real detector behind a real server, for contract and integration tests."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import prometheus_client

from argo.detector.v1 import detection_service_pb2, detection_service_pb2_grpc
from argo.registry.v1 import lease_service_pb2, scene_pb2
from argo.type.v1 import geometry_pb2, media_pb2
from detector.domain.batching import BatchingParameters
from detector.domain.tracker_parameters import TrackerParameters
from detector.metrics import DetectorMetrics
from detector.publisher import Publisher
from detector.scheduling import Scheduler
from detector.service import DetectionServicer
from detector.stream import StreamParts
from mesh.bus import Bus
from mesh.settings import ServiceSettings
from mesh.testing import calling, serving, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from detector.model import Model
    from mesh.authority import CertificateAuthority
    from mesh.rpc.server import GrpcServer


@dataclass(frozen=True)
class RunningDetector:
    """A served detector and what a test needs to look into it."""

    parts: StreamParts
    servicer: DetectionServicer
    publisher: Publisher
    stub: detection_service_pb2_grpc.DetectionServiceAsyncStub
    registry: prometheus_client.CollectorRegistry


@asynccontextmanager
async def run_detector(
    model: Model, authority: CertificateAuthority, *, caller: str = "service/camera-gateway", nats: str = ""
) -> AsyncIterator[RunningDetector]:
    """A real detector behind a real server; without `nats` its bus is a port where nobody listens."""
    registry = prometheus_client.CollectorRegistry()
    metrics = DetectorMetrics(registry)
    ids = random.Random(7)
    settings = settings_of(authority, "service/detector", ServiceSettings)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(
            Bus.connect(nats or "tls://127.0.0.1:9", name="detector", tls=settings.tls, metrics=registry)
        )
        publisher = Publisher(bus, interval=0.05, capacity=1000, metrics=metrics)
        scheduler = Scheduler(model, BatchingParameters(budget_seconds=30.0), metrics)
        parts = StreamParts(
            scheduler=scheduler,
            publisher=publisher,
            metrics=metrics,
            tracker=TrackerParameters(),
            new_id=lambda: ids.getrandbits(64),
            local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
            observation_interval=0.5,
            flow_interval=1.0,
        )
        servicer = DetectionServicer(parts)
        tasks = [asyncio.create_task(scheduler.run()), asyncio.create_task(publisher.run())]
        try:
            server = await stack.enter_async_context(serving(settings, lambda server: _register(server, servicer)))
            channel = await stack.enter_async_context(
                calling(server, authority, caller, peer="service/detector", settings_type=ServiceSettings)
            )
            stub = detection_service_pb2_grpc.DetectionServiceStub(channel)
            yield RunningDetector(parts, servicer, publisher, stub, registry)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _register(server: GrpcServer, servicer: DetectionServicer) -> None:
    server.add(
        detection_service_pb2_grpc.add_DetectionServiceServicer_to_server,
        servicer,
        "argo.detector.v1.DetectionService",
    )


OPTIC = "devices/camera-1/optics/front"


def configuration(**fields: Any) -> lease_service_pb2.OpticConfiguration:
    """An optic with one zone that covers the picture, a line down its middle, and a rule on each."""
    zone = scene_pb2.Zone(name=f"{OPTIC}/zones/all")
    zone.polygon.points.extend(geometry_pb2.Point(x=x, y=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)))
    line = scene_pb2.Line(name=f"{OPTIC}/lines/middle")
    line.polyline.points.extend(geometry_pb2.Point(x=0.5, y=y) for y in (0.0, 1.0))
    inside = scene_pb2.Rule(name=f"{OPTIC}/rules/inside", mode=scene_pb2.Rule.MODE_LIVE, version=3)
    inside.zone_intrusion.zone = zone.name
    inside.zone_intrusion.minimum_dwell.FromMilliseconds(500)
    crossed = scene_pb2.Rule(name=f"{OPTIC}/rules/crossed", mode=scene_pb2.Rule.MODE_SHADOW, version=4)
    crossed.line_crossing.line = line.name
    return lease_service_pb2.OpticConfiguration(
        **{
            "optic": OPTIC,
            "site": "sites/square",
            "zones": [zone],
            "lines": [line],
            "rules": [inside, crossed],
            **fields,
        }
    )


def first(*, every_frame: bool = False, **fields: Any) -> detection_service_pb2.AnalyzeRequest:
    """The first message of a stream."""
    mode = detection_service_pb2.ANALYSIS_MODE_EVERY_FRAME if every_frame else detection_service_pb2.ANALYSIS_MODE_LIVE
    return detection_service_pb2.AnalyzeRequest(configuration=configuration(**fields), mode=mode)


def frame(
    sequence: int, *, seconds: float = 0.0, width: int = 64, height: int = 48, i420: bytes | None = None
) -> detection_service_pb2.AnalyzeRequest:
    """A frame, black unless its planes are given."""
    message = media_pb2.Frame(sequence=sequence, width=width, height=height)
    message.capture_time.time.FromMicroseconds(round((1_700_000_000 + seconds) * 1e6))
    message.i420 = bytes(width * height * 3 // 2) if i420 is None else i420
    return detection_service_pb2.AnalyzeRequest(frame=message)
