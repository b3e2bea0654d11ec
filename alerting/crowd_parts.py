"""Everything about large events, over one database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from alerting.crowd_desk import CrowdDesk
from alerting.crowd_watch import CrowdWatch, Raise
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.service.crowd_events import CrowdEventServicer
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.crowd_events import CrowdEventStore
from alerting.store.database import Database
from argo.alerting.v1 import crowd_event_service_pb2_grpc
from mesh.rpc.server import Registrar


class CrowdParts:
    """What watches large events, and where they are planned and followed."""

    def __init__(
        self,
        settings: AlertingSettings,
        database: Database,
        records: Records,
        signal: ChangeSignal,
        *,
        tell: Raise,
        clock: Callable[[], datetime],
    ) -> None:
        store = CrowdEventStore(database)
        self.watch = CrowdWatch(store, tell, relative_error=settings.flow_relative_error, clock=clock)
        self.desk = CrowdDesk(store, records, signal, bookmark_seconds=settings.bookmark_seconds, clock=clock)

    def register(self, server: Registrar, metrics: Metrics) -> None:
        """Adds the servicer to a server."""
        server.add(
            crowd_event_service_pb2_grpc.add_CrowdEventServiceServicer_to_server,
            CrowdEventServicer(self.desk, metrics),
            "argo.alerting.v1.CrowdEventService",
        )
