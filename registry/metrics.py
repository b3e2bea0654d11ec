"""What the registry counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import prometheus_client

from registry.domain.admission import Reason
from registry.fleet import Fleet


class RegistryMetrics:
    """Gauges of the fleet as this replica sees it."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        """Registers the metrics."""
        self.database_up = prometheus_client.Gauge(
            "argo_registry_database_up", "Whether PostgreSQL answers.", registry=registry
        )
        self._devices = prometheus_client.Gauge("argo_registry_devices", "Devices on record.", registry=registry)
        self._optics = prometheus_client.Gauge("argo_registry_optics", "Optics on record.", registry=registry)
        self._refused = prometheus_client.Gauge(
            "argo_registry_refused_devices", "Devices that may not stream, by reason.", ["reason"], registry=registry
        )
        self._unconfirmed = prometheus_client.Gauge(
            "argo_registry_unconfirmed_scenes",
            "Optics that are masked whole because nobody has confirmed their scene.",
            registry=registry,
        )
        self._gateways = prometheus_client.Gauge(
            "argo_registry_gateways", "Gateways that hold leases at this replica.", registry=registry
        )
        self._watchers = prometheus_client.Gauge("argo_registry_watchers", "Open watches.", registry=registry)

    def show(self, fleet: Fleet, *, gateways: int, watchers: int) -> None:
        """Sets the gauges."""
        refused = Counter(
            reason for device in fleet.devices.values() if device.verdict for reason in device.verdict.reasons
        )
        self._devices.set(len(fleet.devices))
        self._optics.set(sum(len(device.configurations) for device in fleet.devices.values()))
        for reason in Reason:
            self._refused.labels(reason.value).set(refused[reason.value])
        self._unconfirmed.set(
            sum(len(device.verdict.unconfirmed) for device in fleet.devices.values() if device.verdict)
        )
        self._gateways.set(gateways)
        self._watchers.set(watchers)


class CaseMetrics:
    """What happens to legal holds and to requests for cameras, as this replica sees it."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        """Registers the metrics."""
        self.steps = prometheus_client.Counter(
            "argo_registry_case_steps",
            "Steps taken here, by kind of case (hold, placement_request) and the state after them.",
            ["kind", "state"],
            registry=registry,
        )
        self._open_holds = prometheus_client.Gauge(
            "argo_registry_open_holds", "Legal holds that wait for approval or hold.", ["state"], registry=registry
        )

    def show_open_holds(self, states: Sequence[str]) -> None:
        """Sets the gauge.

        Args:
            states: of all open holds.
        """
        open_holds = Counter(states)
        for state in ("STATE_PROPOSED", "STATE_ACTIVE"):
            self._open_holds.labels(state).set(open_holds[state])
