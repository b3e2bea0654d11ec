"""Small servicers at the far ends of the gateway's streams, for tests of the gateway alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.anonymizer.v1 import redaction_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2 as detection
from argo.detector.v1 import detection_service_pb2_grpc
from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import lease_service_pb2_grpc
from argo.type.v1 import geometry_pb2, media_pb2, object_class_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mesh.rpc.server import GrpcServer

DEVICE = "devices/cam"


def timestamp(seconds: float) -> Timestamp:
    message = Timestamp()
    message.FromMicroseconds(round(seconds * 1e6))
    return message


def optic(name: str = "one", **fields: Any) -> lease.OpticConfiguration:
    return lease.OpticConfiguration(optic=f"{DEVICE}/optics/{name}", version=1, site="sites/square", **fields)


def device_lease(
    address: str, *optics: lease.OpticConfiguration, seconds: float = 60.0, **fields: Any
) -> lease.DeviceLease:
    values = {"device": DEVICE, "credentials": "cam", "expire_time": timestamp(time.time() + seconds), **fields}
    return lease.DeviceLease(address=address, optics=optics, **values)


class Detector(detection_service_pb2_grpc.DetectionServiceServicer):
    """Sees one object with track 7 in every frame. While `hold` is cleared, it keeps its verdicts back."""

    def __init__(self) -> None:
        self.configurations: list[lease.OpticConfiguration] = []
        self.modes: list[int] = []
        self.frames: list[media_pb2.Frame] = []
        self.outcome = detection.Verdict.OUTCOME_ANALYSED
        self.hold = asyncio.Event()
        self.hold.set()

    async def Analyze(self, request_iterator: Any, context: Any) -> AsyncIterator[detection.Verdict]:  # noqa: N802
        async for request in request_iterator:
            if request.WhichOneof("message") == "configuration":
                self.configurations.append(request.configuration)
                self.modes.append(request.mode)
                continue
            self.frames.append(request.frame)
            await self.hold.wait()
            box = geometry_pb2.Box(left=0.1, top=0.1, width=0.1, height=0.1)
            found = detection.Detection(box=box, object_class=object_class_pb2.OBJECT_CLASS_PERSON, score=0.9, track=7)
            detections = [found] if self.outcome == detection.Verdict.OUTCOME_ANALYSED else []
            yield detection.Verdict(sequence=request.frame.sequence, outcome=self.outcome, detections=detections)


class Anonymizer(redaction_service_pb2_grpc.RedactionServiceServicer):
    """Remembers what it was sent; says what the verdicts allow it to say."""

    def __init__(self) -> None:
        self.openings: list[redaction.RedactRequest] = []
        self.frames: list[redaction.RedactRequest.FrameWithVerdict] = []

    async def Redact(self, request_iterator: Any, context: Any) -> AsyncIterator[redaction.RedactResponse]:  # noqa: N802
        async for request in request_iterator:
            if request.WhichOneof("message") == "configuration":
                self.openings.append(request)
                continue
            self.frames.append(request.frame)
            judged = request.frame.HasField("verdict")
            judged = judged and request.frame.verdict.outcome == detection.Verdict.OUTCOME_ANALYSED
            basis = redaction.RedactResponse.BASIS_VERDICT if judged else redaction.RedactResponse.BASIS_UNVERDICTED
            unit = media_pb2.AccessUnit(
                data=b"masked", presentation_timestamp=request.frame.presentation_timestamp, key_frame=True
            )
            yield redaction.RedactResponse(
                sequence=request.frame.frame.sequence, basis=basis, masked_fraction=0.25, masked=unit
            )


class Registry(lease_service_pb2_grpc.LeaseServiceServicer):
    """Leases what it is told to lease, and renews on every heartbeat."""

    def __init__(self) -> None:
        self.announced: list[lease.HoldLeasesRequest.Announce] = []
        self.released: list[str] = []
        self.renewing = True
        self.lease_seconds = 60.0
        self._queues: list[asyncio.Queue[lease.HoldLeasesResponse]] = []
        self._leases: dict[str, lease.DeviceLease] = {}

    def grant(self, device: lease.DeviceLease) -> None:
        self._leases[device.device] = device
        self._send(lease.HoldLeasesResponse(lease=device))

    def withdraw(self, device: str) -> None:
        self._leases.pop(device)
        self._send(lease.HoldLeasesResponse(withdrawal=lease.HoldLeasesResponse.Withdrawal(device=device)))

    def _send(self, response: lease.HoldLeasesResponse) -> None:
        for queue in self._queues:
            queue.put_nowait(response)

    async def HoldLeases(self, request_iterator: Any, context: Any) -> AsyncIterator[lease.HoldLeasesResponse]:  # noqa: N802
        queue: asyncio.Queue[lease.HoldLeasesResponse] = asyncio.Queue()
        self._queues.append(queue)
        for device in self._leases.values():
            queue.put_nowait(lease.HoldLeasesResponse(lease=device))
        listening = asyncio.create_task(self._listen(request_iterator, queue))
        try:
            while True:
                yield await queue.get()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._queues.remove(queue)

    async def _listen(self, requests: Any, queue: asyncio.Queue[lease.HoldLeasesResponse]) -> None:
        async for request in requests:
            match request.WhichOneof("message"):
                case "announce":
                    self.announced.append(request.announce)
                case "release":
                    self.released.append(request.release.device)
                case "heartbeat" if self.renewing:
                    until = timestamp(time.time() + self.lease_seconds)
                    renewal = lease.HoldLeasesResponse.Renewal(devices=request.heartbeat.devices, expire_time=until)
                    queue.put_nowait(lease.HoldLeasesResponse(renewal=renewal))


def register_detector(detector: Detector) -> Any:
    def register(server: GrpcServer) -> None:
        name = "argo.detector.v1.DetectionService"
        server.add(detection_service_pb2_grpc.add_DetectionServiceServicer_to_server, detector, name)
        server.open({f"/{name}/Analyze": ("service/camera-gateway",)})

    return register


def register_anonymizer(anonymizer: Anonymizer) -> Any:
    def register(server: GrpcServer) -> None:
        name = "argo.anonymizer.v1.RedactionService"
        server.add(redaction_service_pb2_grpc.add_RedactionServiceServicer_to_server, anonymizer, name)
        server.open({f"/{name}/Redact": ("service/camera-gateway",)})

    return register


def register_registry(registry: Registry) -> Any:
    def register(server: GrpcServer) -> None:
        name = "argo.registry.v1.LeaseService"
        server.add(lease_service_pb2_grpc.add_LeaseServiceServicer_to_server, registry, name)
        server.open({f"/{name}/HoldLeases": ("service/camera-gateway",)})

    return register


async def eventually(condition: Any, seconds: float = 60.0) -> None:
    """Wait until ``condition()`` holds; the limit only ends a test that would hang."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def refusing() -> Iterator[Any]:
    """Catch the RPC error of the block: ``caught.error``."""

    class Caught:
        error: grpc.aio.AioRpcError

    caught = Caught()
    try:
        yield caught
    except grpc.aio.AioRpcError as error:
        caught.error = error
    else:
        raise AssertionError("the call was not refused")
