"""Publishes the coverage of every optic: what was seen, what was not, and why."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

from argo.camera_gateway.v1 import coverage_pb2
from camera_gateway import packing
from camera_gateway.domain.liveness import State
from camera_gateway.domain.sight import Mode
from mesh.bus import Bus, StreamSpec
from mesh.errors import ArgoError

if TYPE_CHECKING:
    from camera_gateway.fleet import Fleet
    from camera_gateway.metrics import GatewayMetrics
    from camera_gateway.session import OpticSession

log = structlog.get_logger(__name__)

STREAM: Final = StreamSpec(name="ARGO_HEALTH", subjects=("argo.v1.health.*.*",))

MAX_WAITING_REPORTS: Final = 10_000
"""Reports that wait for the bus: 600 optics for over a minute at five seconds; the oldest give way."""


def subject(optic: str) -> str:
    """The subject of an optic's health: ``devices/d/optics/o`` -> ``argo.v1.health.d.o``."""
    _, device, _, name = optic.split("/")
    return f"argo.v1.health.{device}.{name}"


def report(session: OpticSession, replica: str, now: float) -> coverage_pb2.HealthReport:
    """The report of one optic up to Unix time ``now``; begins its next interval."""
    coverage = session.tally.coverage.close(now)
    incidents = session.incidents
    return coverage_pb2.HealthReport(
        report_id=str(uuid.uuid4()),
        optic=session.optic,
        site=session.configuration.site,
        replica=replica,
        start_time=packing.timestamp(coverage.since),
        interval=packing.duration(coverage.elapsed),
        coverage=packing.coverage(coverage),
        gaps=[packing.gap(gap) for gap in coverage.gaps],
        impairments=_impairments(session),
        incident=incidents.incident_of(session.optic),
        clock_drift=None if incidents.drift is None else packing.duration(incidents.drift),
    )


IMPAIRMENTS: Final = {
    Mode.GLOBAL_SCENE_CHANGE: coverage_pb2.HealthReport.IMPAIRMENT_GLOBAL_SCENE_CHANGE,
    Mode.IMAGE_TOO_DARK: coverage_pb2.HealthReport.IMPAIRMENT_IMAGE_TOO_DARK,
    Mode.IMAGE_TOO_BRIGHT: coverage_pb2.HealthReport.IMPAIRMENT_IMAGE_TOO_BRIGHT,
    Mode.IMAGE_TOO_BLURRY: coverage_pb2.HealthReport.IMPAIRMENT_IMAGE_TOO_BLURRY,
    Mode.FROZEN: coverage_pb2.HealthReport.IMPAIRMENT_FROZEN,
    Mode.LOW_VISIBILITY: coverage_pb2.HealthReport.IMPAIRMENT_LOW_VISIBILITY,
}


def _impairments(session: OpticSession) -> list[coverage_pb2.HealthReport.Impairment.ValueType]:
    found = []
    if session.liveness.state is not State.STREAMING:
        found.append(coverage_pb2.HealthReport.IMPAIRMENT_SIGNAL_LOSS)
    if session.incidents.clock_is_off:
        found.append(coverage_pb2.HealthReport.IMPAIRMENT_CLOCK_DRIFT)
    return found + [IMPAIRMENTS[mode] for mode in session.attention.impairments]


class HealthReporter:
    """Reports on the fleet at an interval. The bus being away costs reports, never video.

    Args:
        bus: the NATS bus.
        fleet: the sessions.
        metrics: of the process.
        replica: this replica's name.
        interval: between two reports of an optic, seconds.
    """

    def __init__(self, bus: Bus, fleet: Fleet, metrics: GatewayMetrics, *, replica: str, interval: float) -> None:
        self._bus = bus
        self._fleet = fleet
        self._metrics = metrics
        self._replica = replica
        self._interval = interval
        self._waiting: deque[coverage_pb2.HealthReport] = deque()
        self._filled = asyncio.Event()

    async def run(self) -> None:
        """Report until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect(), name="health-collect")
            group.create_task(self._publish(), name="health-publish")

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            now = time.time()
            for session in self._fleet.sessions:
                if len(self._waiting) >= MAX_WAITING_REPORTS:
                    self._waiting.popleft()
                    self._metrics.health_reports.labels("dropped").inc()
                self._waiting.append(report(session, self._replica, now))
            self._filled.set()

    async def _publish(self) -> None:
        declared = away = False
        while True:
            while not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            try:
                if not declared:
                    await self._bus.declare(STREAM)
                    declared = True
                oldest = self._waiting[0]
                await self._bus.publish(subject(oldest.optic), oldest, message_id=oldest.report_id)
            except ArgoError:
                if not away:
                    away = True
                    log.warning("health.bus_lost", waiting=len(self._waiting))
                declared = False
                await asyncio.sleep(1.0)
                continue
            if away:
                away = False
                log.info("health.bus_restored", waiting=len(self._waiting))
            # The collector may have dropped it meanwhile to make room.
            if self._waiting and self._waiting[0] is oldest:
                self._waiting.popleft()
            self._metrics.health_reports.labels("published").inc()
