"""The RPCs that the gateway opens to its peers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from argo.anonymizer.v1 import redaction_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2_grpc
from argo.registry.v1 import lease_service_pb2_grpc

if TYPE_CHECKING:
    import grpc


class AnalysisClient:
    """The detector and the anonymizer; implements `Peers`.

    Args:
        detector: channel to the detector.
        anonymizer: channel to the anonymizer.
        patient: whether a call waits for a peer that is away instead of failing at once.
    """

    def __init__(self, detector: grpc.aio.Channel, anonymizer: grpc.aio.Channel, *, patient: bool) -> None:
        self._patient = patient
        self._detection = detection_service_pb2_grpc.DetectionServiceStub(detector)
        self._redaction = redaction_service_pb2_grpc.RedactionServiceStub(anonymizer)

    def analyze(self) -> Any:
        """A new Analyze call."""
        return self._detection.Analyze(wait_for_ready=self._patient)

    def redact(self) -> Any:
        """A new Redact call."""
        return self._redaction.Redact(wait_for_ready=self._patient)


class RegistryClient:
    """The registry; implements `leases.Registry`.

    Args:
        registry: channel to the registry.
    """

    def __init__(self, registry: grpc.aio.Channel) -> None:
        self._leases = lease_service_pb2_grpc.LeaseServiceStub(registry)

    def hold_leases(self) -> Any:
        """A new HoldLeases call."""
        return self._leases.HoldLeases(wait_for_ready=True)
