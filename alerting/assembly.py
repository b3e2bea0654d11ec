"""Putting the parts together over one database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerting.consumer import Consumers
from alerting.desk import AlertDesk
from alerting.domain.roster import Roster
from alerting.flow_parts import FlowParts
from alerting.metrics import Metrics
from alerting.oversight import Oversight
from alerting.records import Records
from alerting.service.alerts import AlertServicer
from alerting.service.audit import AuditServicer
from alerting.service.coverage import CoverageServicer
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.alerts import AlertStore
from alerting.store.audit import AuditReader
from alerting.store.coverage import CoverageStore
from alerting.store.database import Database
from alerting.store.erasure import ErasureStore
from alerting.store.events import EventStore
from alerting.store.holds import HoldStore
from alerting.store.observations import ObservationStore
from alerting.store.sign_ins import SignInStore
from alerting.upkeep import HoldWatch, ReadHolds, Upkeep
from argo.alerting.v1 import (
    alert_service_pb2_grpc,
    audit_service_pb2_grpc,
    coverage_service_pb2_grpc,
)
from mesh.audit import AuditLog
from mesh.postgres import Pool
from mesh.rpc.server import GrpcServer


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Parts:
    """Everything between the transports and the database."""

    def __init__(self, settings: AlertingSettings, pool: Pool, metrics: Metrics, read_holds: ReadHolds) -> None:
        database = Database(pool)
        observations = ObservationStore(database)
        alerts = AlertStore(database)
        self.metrics = metrics
        self.log = AuditLog(pool)
        self.records = Records(self.log)
        self.audit_reader = AuditReader(database)
        self.signal = ChangeSignal(database, maximum_watches=settings.maximum_watches)
        self.coverage = CoverageStore(database)
        self.roster = Roster()
        self.sign_ins = SignInStore(database)
        self.oversight = Oversight(database, self.records, metrics, utc_now)
        self.desk = AlertDesk(
            alerts,
            self.records,
            self.signal,
            authorities=settings.authorities,
            bookmark_seconds=settings.bookmark_seconds,
            clock=utc_now,
        )
        window = timedelta(seconds=settings.group_seconds)
        self.flows = FlowParts(settings, database, self.records, self.signal, metrics, utc_now)
        self.consumers = Consumers(EventStore(database), observations, metrics, window=window, clock=utc_now)
        hold_watch = HoldWatch(HoldStore(database), read_holds, metrics)
        self.upkeep = Upkeep(ErasureStore(database), observations, hold_watch, alerts, self.records, metrics, utc_now)

    def register(self, server: GrpcServer) -> None:
        """Adds the servicers to a server."""
        server.add(
            alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
            AlertServicer(self.desk, self.metrics),
            "argo.alerting.v1.AlertService",
        )
        server.add(
            coverage_service_pb2_grpc.add_CoverageServiceServicer_to_server,
            CoverageServicer(self.coverage, self.roster, self.records, utc_now),
            "argo.alerting.v1.CoverageService",
        )
        server.add(
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(self.log, self.audit_reader, self.records),
            "argo.alerting.v1.AuditService",
        )
        self.flows.register(server)
        self.oversight.register(server)
