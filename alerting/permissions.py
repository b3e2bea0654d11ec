"""Who may call what. A method that is not here is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CONTROL_ROOM = ("operator/*", "administrator/*")
_READERS = (*_CONTROL_ROOM, "authority/*")

POLICY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # An authority reads only what was dispatched to it: see alerting.domain.audience.
        "/argo.alerting.v1.AlertService/GetAlert": _READERS,
        "/argo.alerting.v1.AlertService/ListAlerts": _READERS,
        "/argo.alerting.v1.AlertService/WatchAlerts": _READERS,
        # A person decides: no machine, and no authority, moves an alert.
        "/argo.alerting.v1.AlertService/AcknowledgeAlert": ("operator/*",),
        "/argo.alerting.v1.AlertService/VerifyAlert": ("operator/*",),
        "/argo.alerting.v1.AlertService/DispatchAlert": ("operator/*",),
        "/argo.alerting.v1.AlertService/CloseAlert": ("operator/*",),
        "/argo.alerting.v1.CoverageService/ListCoverage": (*_CONTROL_ROOM, "system/*"),
        "/argo.alerting.v1.AuditService/ListAuditEntries": ("administrator/*",),
        "/argo.alerting.v1.AuditService/VerifyAuditLog": ("administrator/*",),
    }
)
