"""Everything about alarms, over one database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from alerting.desk import AlertDesk, Schedule
from alerting.domain.neighbourhood import Neighbourhood
from alerting.duty import Duty
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.service.alerts import AlertServicer
from alerting.service.shifts import ShiftServicer
from alerting.settings import AlertingSettings
from alerting.shelves import Shelves
from alerting.signals import ChangeSignal
from alerting.store.alerts import AlertStore
from alerting.store.database import Database
from alerting.store.shelvings import ShelvingStore
from alerting.store.shifts import ShiftStore
from alerting.store.timekeeping import TimekeepingStore
from alerting.timekeeper import Timekeeper
from argo.alerting.v1 import alert_service_pb2_grpc, shift_service_pb2_grpc
from mesh.rpc.server import GrpcServer


class AlarmParts:
    """What puts alarms before people, and what people do with them."""

    def __init__(
        self,
        settings: AlertingSettings,
        database: Database,
        records: Records,
        signal: ChangeSignal,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        schedule = Schedule(settings.patience, timedelta(seconds=settings.longest_shelving_seconds))
        self._metrics = metrics
        self.store = AlertStore(database)
        self.neighbourhood = Neighbourhood(settings.neighbour_metres)
        self.desk = AlertDesk(
            self.store,
            records,
            signal,
            authorities=settings.authorities,
            bookmark_seconds=settings.bookmark_seconds,
            schedule=schedule,
            clock=clock,
        )
        self.shelves = Shelves(ShelvingStore(database), records, schedule, clock)
        self.duty = Duty(ShiftStore(database), records, clock)
        self.timekeeper = Timekeeper(
            TimekeepingStore(database), records, metrics, patience=settings.patience, clock=clock
        )

    def register(self, server: GrpcServer) -> None:
        """Adds the servicers to a server."""
        server.add(
            alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
            AlertServicer(self.desk, self.shelves, self._metrics),
            "argo.alerting.v1.AlertService",
        )
        server.add(
            shift_service_pb2_grpc.add_ShiftServiceServicer_to_server,
            ShiftServicer(self.duty),
            "argo.alerting.v1.ShiftService",
        )
