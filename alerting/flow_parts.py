"""Everything about counts, over one database."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import NoReturn

from alerting.clients import RegistryClient
from alerting.domain.flows.cells import Cell
from alerting.domain.flows.release import OpenFlow
from alerting.flow_consumer import FlowConsumer
from alerting.flow_desk import FlowDesk
from alerting.flow_export import FlowExport
from alerting.flow_places import follow_places
from alerting.flow_release import FlowRelease
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.service.flows import FlowServicer
from alerting.service.open_flows import OpenFlowServicer
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.cells import CellStore
from alerting.store.database import Database
from alerting.store.flows import FlowStore
from alerting.store.open_flows import OpenFlowStore
from argo.alerting.v1 import flow_service_pb2_grpc
from mesh.bus import Bus
from mesh.rpc.server import Registrar


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
        self.store = FlowStore(database)
        self.consumer = FlowConsumer(self.store, metrics, clock=clock)
        self.desk: FlowDesk[Cell] = FlowDesk(
            CellStore(database), records, signal, bookmark_seconds=settings.bookmark_seconds, clock=clock
        )
        published = OpenFlowStore(database)
        self.open_desk: FlowDesk[OpenFlow] = FlowDesk(
            published, None, signal, bookmark_seconds=settings.bookmark_seconds, clock=clock
        )
        self.export = FlowExport(
            self.store,
            self.desk,
            self.open_desk,
            publisher=settings.publisher,
            relative_error=settings.flow_relative_error,
            clock=clock,
        )
        self.release = FlowRelease(
            published,
            self.consumer.progress,
            base=timedelta(minutes=settings.open_flow_minutes),
            grace=timedelta(seconds=settings.open_flow_grace_seconds),
            relative_error=settings.flow_relative_error,
            clock=clock,
        )

    def tasks(self, bus: Bus, registry: RegistryClient) -> dict[str, Coroutine[None, None, NoReturn]]:
        """What runs for ever, by name."""
        return {
            "flows": self.consumer.consume(bus),
            "flow-places": follow_places(registry, self.store),
            "flow-release": self.release.run(lambda: bus.connected),
        }

    def register(self, server: Registrar) -> None:
        """Adds the servicers to a server."""
        server.add(
            flow_service_pb2_grpc.add_FlowServiceServicer_to_server,
            FlowServicer(self.desk, self._metrics, self._relative_error),
            "argo.alerting.v1.FlowService",
        )
        server.add(
            flow_service_pb2_grpc.add_OpenFlowServiceServicer_to_server,
            OpenFlowServicer(self.open_desk, self._metrics),
            "argo.alerting.v1.OpenFlowService",
        )
