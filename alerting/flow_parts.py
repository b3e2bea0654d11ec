"""Everything about counts, over one database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from alerting.flow_consumer import FlowConsumer
from alerting.flow_desk import FlowDesk
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.service.flows import FlowServicer
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.cells import CellStore
from alerting.store.database import Database
from alerting.store.flows import FlowStore
from argo.alerting.v1 import flow_service_pb2_grpc
from mesh.rpc.server import GrpcServer


class FlowParts:
    """What keeps counts, and what gives them."""

    def __init__(
        self,
        settings: AlertingSettings,
        database: Database,
        records: Records,
        signal: ChangeSignal,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._relative_error = settings.flow_relative_error
        self._metrics = metrics
        self.consumer = FlowConsumer(FlowStore(database), metrics, clock=clock)
        self.desk = FlowDesk(
            CellStore(database), records, signal, bookmark_seconds=settings.bookmark_seconds, clock=clock
        )

    def register(self, server: GrpcServer) -> None:
        """Adds the servicers to a server."""
        server.add(
            flow_service_pb2_grpc.add_FlowServiceServicer_to_server,
            FlowServicer(self.desk, self._metrics, self._relative_error),
            "argo.alerting.v1.FlowService",
        )
