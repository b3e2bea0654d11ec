"""Putting the parts together over one database."""

from __future__ import annotations

from datetime import UTC, datetime

from alerting.alarm_parts import AlarmParts
from alerting.consumer import Consumers
from alerting.crowd_parts import CrowdParts
from alerting.domain.roster import Roster
from alerting.flow_parts import FlowParts
from alerting.metrics import Metrics
from alerting.oversight import Oversight
from alerting.records import Records
from alerting.search_desk import ReadAtlas
from alerting.search_parts import SearchParts
from alerting.search_records import SearchRecords
from alerting.service.coverage import CoverageServicer, ReadRecorded
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.coverage import CoverageStore
from alerting.store.database import Database
from alerting.store.erasure import ErasureStore
from alerting.store.events import EventStore
from alerting.store.holds import HoldStore
from alerting.store.observations import ObservationStore
from alerting.store.sign_ins import SignInStore
from alerting.upkeep import HoldWatch, ReadHolds, Upkeep
from argo.alerting.v1 import audit_service_pb2, audit_service_pb2_grpc, coverage_service_pb2_grpc
from mesh.audit import AuditLog
from mesh.audit.anchorage import signer_of
from mesh.audit.service import AuditServicer
from mesh.postgres import Pool
from mesh.rpc.server import Registrar


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Parts:
    """Everything between the transports and the database."""

    def __init__(
        self,
        settings: AlertingSettings,
        pool: Pool,
        metrics: Metrics,
        read_holds: ReadHolds,
        read_atlas: ReadAtlas,
        read_recorded: ReadRecorded,
    ) -> None:
        database = Database(pool)
        observations = ObservationStore(database)
        self.metrics = metrics
        self.log = AuditLog(pool)
        self.records = Records(self.log)
        self.audit = AuditServicer(audit_service_pb2, lambda: self.log, "alerting", signer_of(settings), utc_now)
        self.signal = ChangeSignal(database, maximum_watches=settings.maximum_watches)
        self.coverage = CoverageStore(database)
        self.roster = Roster()
        self._read_recorded = read_recorded
        self.sign_ins = SignInStore(database)
        self.oversight = Oversight(database, self.records, metrics, utc_now)
        self.alarms = AlarmParts(settings, database, self.records, self.signal, metrics, utc_now)
        self.desk = self.alarms.desk
        self.flows = FlowParts(settings, database, self.records, self.signal, metrics, utc_now)
        self.consumers = Consumers(
            EventStore(database, self.alarms.outbox),
            observations,
            metrics,
            policy=settings.policy,
            neighbours=self.alarms.neighbourhood,
            clock=utc_now,
        )
        self.search = SearchParts(
            settings, database, SearchRecords(self.log), metrics, read_atlas, self.oversight.approvals, utc_now
        )
        self.crowds = CrowdParts(settings, database, self.records, self.signal, tell=self.consumers.tell, clock=utc_now)
        hold_watch = HoldWatch(HoldStore(database), read_holds, metrics)
        self.upkeep = Upkeep(
            ErasureStore(database), observations, hold_watch, self.alarms.store, self.records, metrics, utc_now
        )

    def register(self, server: Registrar) -> None:
        """Adds the servicers to a server."""
        self.alarms.register(server)
        server.add(
            coverage_service_pb2_grpc.add_CoverageServiceServicer_to_server,
            CoverageServicer(self.coverage, self.roster, self.records, utc_now, self._read_recorded),
            "argo.alerting.v1.CoverageService",
        )
        self.audit.register(audit_service_pb2_grpc.add_AuditServiceServicer_to_server, server)
        self.flows.register(server)
        self.crowds.register(server, self.metrics)
        self.oversight.register(server)
        self.search.register(server)
