"""Who may call what: one entry per method; a method that is missing here is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping

from registry.resources import RESOURCES

_SERVICE = "/argo.registry.v1.RegistryService"

READERS = ("operator/*", "administrator/*", "service/*")
WRITERS = ("administrator/*",)
GATEWAYS = ("service/camera-gateway",)

POLICY: Mapping[str, tuple[str, ...]] = {
    **{f"{_SERVICE}/Get{resource.camel}": READERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/List{resource.plural.capitalize()}": READERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Create{resource.camel}": WRITERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Update{resource.camel}": WRITERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Delete{resource.camel}": WRITERS for resource in RESOURCES.values()},
    f"{_SERVICE}/WatchOptics": READERS,
    "/argo.registry.v1.LeaseService/HoldLeases": GATEWAYS,
}
"""Full method names to patterns of identity paths."""
