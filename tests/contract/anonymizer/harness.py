"""The anonymizer's servicers behind a real gRPC server over loopback with mutual TLS, and a street to send them."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import prometheus_client

from anonymizer.broadcast import Broadcasts
from anonymizer.domain.viewing import ViewingBook
from anonymizer.live_view_service import LiveViewServicer
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.service import RedactionServicer
from anonymizer.whep import WhepEndpoint
from argo.anonymizer.v1 import (
    live_view_service_pb2_grpc,
    redaction_service_pb2,
    redaction_service_pb2_grpc,
)
from argo.detector.v1 import detection_service_pb2
from argo.registry.v1 import lease_service_pb2
from argo.type.v1 import media_pb2
from mesh.http import serve_web
from mesh.settings import ServiceSettings
from mesh.testing import calling, serving, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc
    import numpy.typing as npt

    from anonymizer.recording import Recorder
    from mesh.authority import CertificateAuthority
    from mesh.rpc.server import GrpcServer

    RedactCall = grpc.aio.StreamStreamCall[redaction_service_pb2.RedactRequest, redaction_service_pb2.RedactResponse]

OPTIC = "devices/piazza-1/optics/north"
CONSOLE = "http://console.test"
WIDTH, HEIGHT = 128, 96


@dataclass
class Anonymizer:
    """A running anonymizer."""

    server: GrpcServer
    authority: CertificateAuthority
    web: str
    book: ViewingBook
    registry: prometheus_client.CollectorRegistry
    servicer: RedactionServicer

    @asynccontextmanager
    async def channel(self, path: str) -> AsyncIterator[grpc.aio.Channel]:
        async with calling(
            self.server, self.authority, path, peer="service/anonymizer", settings_type=ServiceSettings
        ) as channel:
            yield channel

    @asynccontextmanager
    async def redaction(self, path: str = "service/camera-gateway") -> AsyncIterator[RedactCall]:
        async with self.channel(path) as channel:
            call = redaction_service_pb2_grpc.RedactionServiceStub(channel).Redact()
            try:
                yield call
            finally:
                call.cancel()

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running(
    authority: CertificateAuthority, recorder: Recorder | None = None, console: str = CONSOLE
) -> AsyncIterator[Anonymizer]:
    registry = prometheus_client.CollectorRegistry()
    metrics = AnonymizerMetrics(registry)
    broadcasts = Broadcasts()
    book = ViewingBook(lambda: secrets.token_urlsafe(32), lambda: f"v{secrets.token_hex(8)}")
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(1))
        whep = WhepEndpoint(book, broadcasts, metrics, console, executor)
        web = await stack.enter_async_context(serve_web(whep.application(), "127.0.0.1:0"))
        servicer = RedactionServicer(executor, broadcasts, recorder, metrics, max_streams=4)

        def register(server: GrpcServer) -> None:
            server.add(
                redaction_service_pb2_grpc.add_RedactionServiceServicer_to_server,
                servicer,
                "argo.anonymizer.v1.RedactionService",
            )
            server.add(
                live_view_service_pb2_grpc.add_LiveViewServiceServicer_to_server,
                LiveViewServicer(book, broadcasts, f"http://{web}"),
                "argo.anonymizer.v1.LiveViewService",
            )

        settings = settings_of(authority, "service/anonymizer", ServiceSettings)
        server = await stack.enter_async_context(serving(settings, register))
        yield Anonymizer(server, authority, web, book, registry, servicer)


def opening(mode: redaction_service_pb2.RedactionMode.ValueType) -> redaction_service_pb2.RedactRequest:
    return redaction_service_pb2.RedactRequest(
        configuration=lease_service_pb2.OpticConfiguration(optic=OPTIC, version=1), mode=mode
    )


LIVE = redaction_service_pb2.REDACTION_MODE_LIVE
RETURN = redaction_service_pb2.REDACTION_MODE_RETURN


def street(width: int = WIDTH, height: int = HEIGHT, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A textured picture in I420, flat: what a camera sees."""
    rng = np.random.default_rng(seed)
    return rng.integers(40, 200, width * height * 3 // 2, np.uint8)


def frame_request(
    sequence: int,
    seconds: float,
    *,
    picture: npt.NDArray[np.uint8] | None = None,
    verdict: detection_service_pb2.Verdict | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    timestamp: int = 0,
) -> redaction_service_pb2.RedactRequest:
    frame = media_pb2.Frame(
        sequence=sequence,
        width=size[0],
        height=size[1],
        i420=(street(*size) if picture is None else picture).tobytes(),
    )
    frame.capture_time.time.FromNanoseconds(round(seconds * 1e9))
    pair = redaction_service_pb2.RedactRequest.FrameWithVerdict(frame=frame, presentation_timestamp=timestamp)
    if verdict is not None:
        pair.verdict.CopyFrom(verdict)
    return redaction_service_pb2.RedactRequest(frame=pair)


def looked(sequence: int, *boxes: tuple[float, float, float, float]) -> detection_service_pb2.Verdict:
    verdict = detection_service_pb2.Verdict(sequence=sequence, outcome=detection_service_pb2.Verdict.OUTCOME_ANALYSED)
    for left, top, width, height in boxes:
        detection = verdict.detections.add(object_class=1, score=0.6)
        detection.box.left, detection.box.top, detection.box.width, detection.box.height = left, top, width, height
    return verdict


async def send(*requests: redaction_service_pb2.RedactRequest) -> AsyncIterator[redaction_service_pb2.RedactRequest]:
    for request in requests:
        yield request
