"""Who may call what; a method that is not listed is refused to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY: Final[Mapping[str, tuple[str, ...]]] = {
    "/argo.camera_gateway.v1.GatewayService/ListSessions": ("operator/*", "administrator/*", "service/*"),
    "/argo.camera_gateway.v1.GatewayService/WatchSessions": ("operator/*", "administrator/*", "service/*"),
    # Whoever sends a file already holds its pixels; what comes back is masked.
    "/argo.camera_gateway.v1.MediaService/ProcessMedia": ("operator/*", "administrator/*"),
}
