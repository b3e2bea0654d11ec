"""Everything about alarms, over one database."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from alerting.desk import AlertDesk, Schedule
from alerting.dispatch_desk import DispatchDesk
from alerting.dispatch_messages import CapSender, rendered
from alerting.domain.neighbourhood import Neighbourhood
from alerting.duty import Duty
from alerting.metrics import Metrics
from alerting.postman import Postman, Round, Timing
from alerting.quality import Quality
from alerting.records import Records
from alerting.service.alerts import AlertServicer
from alerting.service.dispatches import DispatchServicer
from alerting.service.quality import AlarmQualityServicer
from alerting.service.shifts import ShiftServicer
from alerting.settings import AlertingSettings
from alerting.shelves import Shelves
from alerting.signals import ChangeSignal
from alerting.store.alerts import AlertStore
from alerting.store.database import Database
from alerting.store.dispatches import DispatchStore, Outbox
from alerting.store.quality import QualityStore
from alerting.store.shelvings import ShelvingStore
from alerting.store.shifts import ShiftStore
from alerting.store.timekeeping import TimekeepingStore
from alerting.timekeeper import Timekeeper
from alerting.webhooks import WebhookClient, read_webhooks
from argo.alerting.v1 import (
    alarm_quality_service_pb2_grpc,
    alert_service_pb2_grpc,
    dispatch_service_pb2_grpc,
    shift_service_pb2_grpc,
)
from mesh.rpc.server import Registrar

_LEASE_MARGIN_SECONDS = 10.0


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
        self.webhooks = read_webhooks(settings.webhooks, settings.authorities)
        self.outbox = Outbox(rendered, frozenset(f"authorities/{tenant}" for tenant in self.webhooks))
        self.store = AlertStore(database, self.outbox)
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

        self.quality = Quality(QualityStore(database), records, metrics.alarm, clock)
        self._database = database
        self._records = records
        self._settings = settings
        self._clock = clock
        self.dispatches = DispatchDesk(
            DispatchStore(database), records, signal, bookmark_seconds=settings.bookmark_seconds, clock=clock
        )

    def postman(self) -> Postman:
        """Who takes dispatches to the webhooks."""
        settings = self._settings
        timeout = settings.webhook_timeout_seconds
        client = WebhookClient(settings.authority_networks, ca=settings.webhook_ca, timeout_seconds=timeout)
        cap = CapSender(settings.cap_sender, settings.cap_exercise, lambda: self.neighbourhood.points)
        timing = Timing(
            patience=timedelta(seconds=settings.webhook_patience_seconds),
            lease=timedelta(seconds=2 * timeout + _LEASE_MARGIN_SECONDS),
            clock=self._clock,
            chance=random.random,
        )
        route = Round(self.webhooks, client, cap)
        return Postman(DispatchStore(self._database), self._records, route, self._metrics.alarm, timing)

    def register(self, server: Registrar) -> None:
        """Adds the servicers to a server."""
        server.add(
            alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
            AlertServicer(self.desk, self.shelves, self._metrics),
            "argo.alerting.v1.AlertService",
        )
        server.add(
            alarm_quality_service_pb2_grpc.add_AlarmQualityServiceServicer_to_server,
            AlarmQualityServicer(self.quality),
            "argo.alerting.v1.AlarmQualityService",
        )
        server.add(
            dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server,
            DispatchServicer(self.dispatches, self._metrics),
            "argo.alerting.v1.DispatchService",
        )
        server.add(
            shift_service_pb2_grpc.add_ShiftServiceServicer_to_server,
            ShiftServicer(self.duty),
            "argo.alerting.v1.ShiftService",
        )
