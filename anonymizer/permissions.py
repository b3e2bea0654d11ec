"""Who may call what; a method that is not listed is refused to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY: Final[Mapping[str, tuple[str, ...]]] = {
    "/argo.anonymizer.v1.RedactionService/Redact": ("service/camera-gateway",),
    # Whoever lets people watch has put it on record before: that is alerting, and nobody else.
    "/argo.anonymizer.v1.LiveViewService/CreateViewing": ("service/alerting",),
    "/argo.anonymizer.v1.LiveViewService/ListViewings": ("service/alerting",),
}
