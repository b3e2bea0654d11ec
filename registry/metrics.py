"""What the registry counts."""

from __future__ import annotations

from collections import Counter

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
        self._gateways.set(gateways)
        self._watchers.set(watchers)
