"""Four eyes and broken glass, put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from alerting.approvals import ApprovalDesk
from alerting.break_glass import BreakGlassDesk
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.service.approvals import ApprovalServicer
from alerting.service.break_glass import BreakGlassServicer
from alerting.store.approvals import ApprovalStore, BreakGlassStore
from alerting.store.database import Database
from argo.alerting.v1 import approval_service_pb2_grpc, break_glass_service_pb2_grpc
from mesh.access import matrix
from mesh.rpc.server import Registrar


class Oversight:
    """What one person does under the eyes of another.

    Attributes:
        approvals: implements ``alerting.domain.approvals.Approvals``.
        break_glass: rights that are taken in an emergency.
    """

    def __init__(self, database: Database, records: Records, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self.approvals = ApprovalDesk(ApprovalStore(database), records, clock)
        self.break_glass = BreakGlassDesk(BreakGlassStore(database), records, metrics, matrix(), clock)
        self._clock = clock

    def register(self, server: Registrar) -> None:
        """Adds the servicers, and lets broken glass count at every method that the matrix opens to it."""
        server.add(
            approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server,
            ApprovalServicer(self.approvals, self._clock),
            "argo.alerting.v1.ApprovalService",
        )
        server.add(
            break_glass_service_pb2_grpc.add_BreakGlassServiceServicer_to_server,
            BreakGlassServicer(self.break_glass, self._clock),
            "argo.alerting.v1.BreakGlassService",
        )
        server.let_break_glass(self.break_glass.rights_taken)
