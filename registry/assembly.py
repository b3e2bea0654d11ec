"""How the registry's parts are put together, in its process and in its tests alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import prometheus_client

from argo.alerting.v1 import audit_service_pb2, audit_service_pb2_grpc
from argo.registry.v1 import (
    fleet_service_pb2_grpc,
    history_service_pb2_grpc,
    hold_service_pb2_grpc,
    lease_service_pb2_grpc,
    placement_service_pb2_grpc,
    proposal_service_pb2_grpc,
    registry_service_pb2_grpc,
)
from mesh.audit import AuditLog
from mesh.audit import service as audit_service
from mesh.audit.anchorage import signer_of
from mesh.audit.service import AuditServicer
from mesh.postgres import Pool
from mesh.rpc.server import GrpcServer
from registry import (
    fleet_service,
    history_service,
    hold_service,
    lease_service,
    placement_service,
    proposal_service,
    service,
)
from registry.auditing import ReadLog
from registry.domain.network import CameraNetworks
from registry.fleet import Fleet
from registry.fleet_service import FleetServicer
from registry.history_service import HistoryServicer
from registry.history_store import HistoryStore
from registry.hold_service import HoldServicer
from registry.holds import Holds
from registry.lease_service import LeaseServicer
from registry.lease_store import LeaseStore
from registry.leases import LeaseDesk
from registry.metrics import CaseMetrics, RegistryMetrics
from registry.onboarding.fleet_store import FleetStore
from registry.placement_service import PlacementServicer
from registry.placements import Placements
from registry.proposal_service import ProposalServicer
from registry.proposal_store import ProposalStore
from registry.scenes import SceneStore
from registry.service import RegistryServicer
from registry.settings import RegistrySettings
from registry.store import RecordStore
from registry.sweep import Sweep
from registry.watching import OpticWatch


class Service(NamedTuple):
    """A gRPC service as a server takes it, see ``GrpcServer.add``."""

    add_to_server: Callable[..., None]
    servicer: Any
    full_name: str


@dataclass(frozen=True)
class Assembly:
    """The parts that live as long as the process.

    Attributes:
        sweep: keeps the gate; somebody has to run it.
        desk: the gateways' streams.
        watch: the watches of optics.
        services: what the registry answers for.
    """

    sweep: Sweep
    desk: LeaseDesk
    watch: OpticWatch
    services: Sequence[Service]

    def serve(self, server: GrpcServer) -> None:
        """Registers all services."""
        for each in self.services:
            server.add(*each)


def assemble(
    pool: Pool,
    settings: RegistrySettings,
    metrics: prometheus_client.CollectorRegistry,
    *,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> Assembly:
    """Puts the registry together.

    Args:
        pool: on the registry's migrated schema.
        settings: the registry's.
        metrics: where its metrics are registered.
        clock: the present time, aware.
        monotonic: seconds.
    """
    fleet, networks = Fleet(), settings.networks
    watch = _watch(pool, fleet, settings)
    desk = LeaseDesk(
        LeaseStore(pool, duration=settings.lease_duration), fleet, networks, clock=clock, monotonic=monotonic
    )
    audit = AuditLog(pool)
    store, reads = RecordStore(pool, audit), ReadLog(pool, audit)
    steps = CaseMetrics(metrics)
    holds, placements = Holds(pool, store, steps, clock), Placements(pool, store, steps, clock)
    sweep = Sweep(
        pool, desk, watch, networks, RegistryMetrics(metrics), clock=clock, period_seconds=settings.sweep_seconds
    )
    sweep.also(holds.end_overdue)
    services = (
        Service(
            lease_service_pb2_grpc.add_LeaseServiceServicer_to_server,
            LeaseServicer(desk, reads),
            lease_service.FULL_NAME,
        ),
        *_services_of_records(pool, store, reads, watch, networks, clock),
        *_services_of_cases(holds, placements, store, reads),
        Service(
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(audit_service_pb2, lambda: audit, "registry", signer_of(settings), clock),
            audit_service.SERVICE,
        ),
    )
    return Assembly(sweep, desk, watch, services)


def _watch(pool: Pool, fleet: Fleet, settings: RegistrySettings) -> OpticWatch:
    return OpticWatch(
        pool,
        fleet,
        buffer=settings.watch_buffer,
        bookmark_seconds=settings.bookmark_seconds,
        resume_changes=settings.resume_changes,
    )


def _services_of_records(
    pool: Pool,
    store: RecordStore,
    reads: ReadLog,
    watch: OpticWatch,
    networks: CameraNetworks,
    clock: Callable[[], datetime],
) -> Sequence[Service]:
    return (
        Service(
            registry_service_pb2_grpc.add_RegistryServiceServicer_to_server,
            RegistryServicer(store, SceneStore(pool, store), reads, watch, networks, clock),
            service.FULL_NAME,
        ),
        Service(
            proposal_service_pb2_grpc.add_ProposalServiceServicer_to_server,
            ProposalServicer(ProposalStore(pool, store), store, reads, networks),
            proposal_service.FULL_NAME,
        ),
        Service(
            history_service_pb2_grpc.add_HistoryServiceServicer_to_server,
            HistoryServicer(HistoryStore(pool), store, reads, networks),
            history_service.FULL_NAME,
        ),
        Service(
            fleet_service_pb2_grpc.add_FleetServiceServicer_to_server,
            FleetServicer(FleetStore(pool, store), reads, networks),
            fleet_service.FULL_NAME,
        ),
    )


def _services_of_cases(holds: Holds, placements: Placements, store: RecordStore, reads: ReadLog) -> Sequence[Service]:
    return (
        Service(
            hold_service_pb2_grpc.add_HoldServiceServicer_to_server,
            HoldServicer(holds, store, reads),
            hold_service.FULL_NAME,
        ),
        Service(
            placement_service_pb2_grpc.add_PlacementServiceServicer_to_server,
            PlacementServicer(placements, reads),
            placement_service.FULL_NAME,
        ),
    )
