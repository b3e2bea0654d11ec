"""Who may call what: one entry per method; a method that is missing here is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping

from registry.resources import RESOURCES

_SERVICE = "/argo.registry.v1.RegistryService"

READERS = ("operator/*", "supervisor/*", "administrator/*", "auditor/*", "service/*")
WRITERS = ("administrator/*",)
APPROVERS = ("supervisor/*", "administrator/*")
PROPOSERS = ("operator/*", "supervisor/*")
GATEWAYS = ("service/camera-gateway",)

POLICY: Mapping[str, tuple[str, ...]] = {
    **{f"{_SERVICE}/Get{resource.camel}": READERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/List{resource.plural.capitalize()}": READERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Create{resource.camel}": WRITERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Update{resource.camel}": WRITERS for resource in RESOURCES.values()},
    **{f"{_SERVICE}/Delete{resource.camel}": WRITERS for resource in RESOURCES.values()},
    f"{_SERVICE}/WatchOptics": READERS,
    f"{_SERVICE}/ConfirmScene": WRITERS,
    "/argo.registry.v1.LeaseService/HoldLeases": GATEWAYS,
    "/argo.registry.v1.ProposalService/GetProposal": READERS,
    "/argo.registry.v1.ProposalService/ListProposals": READERS,
    "/argo.registry.v1.ProposalService/CreateProposal": APPROVERS,
    "/argo.registry.v1.ProposalService/ApproveProposal": APPROVERS,
    "/argo.registry.v1.ProposalService/RejectProposal": APPROVERS,
    "/argo.registry.v1.HistoryService/GetOpticRecord": READERS,
    "/argo.registry.v1.HistoryService/ListRevisions": READERS,
    "/argo.registry.v1.FleetService/ImportFleet": WRITERS,
    "/argo.registry.v1.FleetService/ExportFleet": WRITERS,
    "/argo.registry.v1.HoldService/GetHold": READERS,
    "/argo.registry.v1.HoldService/ListHolds": READERS,
    "/argo.registry.v1.HoldService/CreateHold": PROPOSERS,
    "/argo.registry.v1.HoldService/ApproveHold": APPROVERS,
    "/argo.registry.v1.HoldService/ReleaseHold": APPROVERS,
    "/argo.registry.v1.HoldService/ListHeldIntervals": READERS,
    "/argo.registry.v1.PlacementService/GetPlacementRequest": READERS,
    "/argo.registry.v1.PlacementService/ListPlacementRequests": READERS,
    "/argo.registry.v1.PlacementService/CreatePlacementRequest": (*PROPOSERS, *WRITERS),
    "/argo.registry.v1.PlacementService/AdvancePlacementRequest": WRITERS,
}
"""Full method names to patterns of role paths; people of every tenant may come, each sees its own."""
