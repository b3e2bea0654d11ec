"""A request for every method of the registry, about records that a name stands for.

The test of tenants sends each twice: about records of another controller, and about records that nobody has.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.interval_pb2 import Interval

from argo.registry.v1 import (
    fleet_service_pb2,
    history_service_pb2,
    hold_service_pb2,
    lease_service_pb2,
    placement_service_pb2,
    proposal_service_pb2,
    registry_service_pb2,
    scene_pb2,
    site_pb2,
)
from registry.resources import RESOURCES, Resource
from tests.unit.registry import lawful

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Names:
    """Ids of records; all of them theirs, or all of them nobody's."""

    site: str
    device: str
    mobile: str
    controller: str
    other: str

    @property
    def optic(self) -> str:
        return f"devices/{self.device}/optics/nord"

    def of(self, resource: Resource) -> str:
        """The name of the record of a kind."""
        return f"{self.parent(resource)}/{resource.plural}/{self._id(resource)}".removeprefix("/")

    def parent(self, resource: Resource) -> str:
        depth = len(resource.pattern.collections)
        if depth == 1:
            return ""
        if resource.kind == "deployment":
            return f"devices/{self.mobile}"
        return f"devices/{self.device}" if depth == 2 else self.optic

    def _id(self, resource: Resource) -> str:
        ids = {"controller": self.controller, "site": self.site, "device": self.device, "optic": "nord"}
        return ids.get(resource.kind, self.other)

    def mask(self, text: str) -> str:
        """A text with the names taken out, so that two answers can be compared."""
        for name in (self.site, self.device, self.mobile, self.controller):
            text = text.replace(f"/{name}", "/…")
        return text


THEIRS = Names("alimonda", "palo-12", "carro-1", "city", "theirs")
NOBODYS = Names("nowhere", "palo-99", "carro-99", "nobody", "theirs")
MINE = Names("piazzale", "varco-1", "furgone-1", "amiat", "theirs")

Make = Callable[[Names], Message]


def record(resource: Resource, names: Names, **changes: Any) -> Any:
    """A lawful record of a kind, under its name, that refers to others of the same names."""
    if resource.kind == "rule":
        return lawful.rule(names.optic, **changes)
    if resource.kind == "deployment":
        return lawful.deployment(NOW, NOW + DAY, site=f"sites/{names.site}", **changes)
    if resource.kind == "device":
        changes = {"site": f"sites/{names.site}", "address": "10.0.7.7"} | changes
    made = getattr(lawful, resource.kind)(**changes)
    if resource.kind == "site":
        made.controller = f"controllers/{names.controller}"
    return made


def _standard(resource: Resource) -> Mapping[str, Make]:
    """The five methods of RegistryService for a kind."""
    pb, kind = registry_service_pb2, resource.kind

    def create(names: Names) -> Message:
        arguments = {f"{kind}_id": "new", kind: record(resource, names), "reason": "prova"}
        if not resource.is_root:
            arguments["parent"] = names.parent(resource)
        return _request(pb, f"Create{resource.camel}", arguments)

    def update(names: Names) -> Message:
        changed = record(resource, names, name=names.of(resource))
        return _request(pb, f"Update{resource.camel}", {kind: changed, "reason": "prova"})

    def listing(names: Names) -> Message:
        parent = {} if resource.is_root else {"parent": names.parent(resource)}
        return _request(pb, f"List{resource.plural.capitalize()}", parent)

    def delete(names: Names) -> Message:
        return _request(pb, f"Delete{resource.camel}", {"name": names.of(resource), "reason": "prova"})

    return {
        f"Get{resource.camel}": lambda names: _request(pb, f"Get{resource.camel}", {"name": names.of(resource)}),
        f"List{resource.plural.capitalize()}": listing,
        f"Create{resource.camel}": create,
        f"Update{resource.camel}": update,
        f"Delete{resource.camel}": delete,
    }


def _request(module: Any, method: str, arguments: Mapping[str, Any]) -> Message:
    request: Message = getattr(module, f"{method}Request")(**arguments)
    return request


def _moment(when: datetime) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(when)
    return moment


def _proposal(names: Names) -> Message:
    return proposal_service_pb2.CreateProposalRequest(
        parent=names.optic,
        proposal_id="new",
        proposal=proposal_service_pb2.Proposal(
            rule=scene_pb2.Rule(name=f"{names.optic}/rules/{names.other}", mode=scene_pb2.Rule.MODE_LIVE)
        ),
        reason="prova",
    )


def hold(names: Names) -> hold_service_pb2.Hold:
    return hold_service_pb2.Hold(
        scope=names.optic,
        interval=Interval(start_time=_moment(NOW - DAY), end_time=_moment(NOW)),
        authority="Procura",
        act="123/2026",
        expire_time=_moment(NOW + 300 * DAY),
    )


def placement(names: Names) -> placement_service_pb2.PlacementRequest:
    measures = [placement_service_pb2.PlacementRequest.MEASURE_MOBILE_CAMERA]
    return placement_service_pb2.PlacementRequest(
        requester="comitato", site=f"sites/{names.site}", reason="furti", measures=measures
    )


def _rows(names: Names) -> Message:
    imported = fleet_service_pb2.ImportFleetRequest
    optic, zone_free = lawful.optic(name=f"devices/{names.device}/optics/neu"), lawful.deployment(NOW, NOW + DAY)
    zone_free.name, zone_free.site = f"devices/{names.mobile}/deployments/neu", f"sites/{names.site}"
    rows = [
        imported.Row(source="1", record=fleet_service_pb2.FleetRecord(optic=optic)),
        imported.Row(source="2", record=fleet_service_pb2.FleetRecord(deployment=zone_free)),
    ]
    return imported(rows=rows, reason="prova")


def _proposal_name(names: Names) -> str:
    return f"{names.optic}/proposals/{names.other}"


_HOLD, _PLACEMENT = hold_service_pb2, placement_service_pb2
_FURTHER: Mapping[str, Make] = {
    "RegistryService/WatchOptics": lambda names: registry_service_pb2.WatchOpticsRequest(
        parent=f"devices/{names.device}"
    ),
    "RegistryService/ConfirmScene": lambda names: registry_service_pb2.ConfirmSceneRequest(
        name=names.optic, reason="prova"
    ),
    "LeaseService/HoldLeases": lambda _names: lease_service_pb2.HoldLeasesRequest(),
    "ProposalService/GetProposal": lambda names: proposal_service_pb2.GetProposalRequest(name=_proposal_name(names)),
    "ProposalService/ListProposals": lambda names: proposal_service_pb2.ListProposalsRequest(parent=names.optic),
    "ProposalService/CreateProposal": _proposal,
    "ProposalService/ApproveProposal": lambda names: proposal_service_pb2.ApproveProposalRequest(
        name=_proposal_name(names), reason="prova"
    ),
    "ProposalService/RejectProposal": lambda names: proposal_service_pb2.RejectProposalRequest(
        name=_proposal_name(names), reason="prova"
    ),
    "HistoryService/GetOpticRecord": lambda names: history_service_pb2.GetOpticRecordRequest(name=names.optic),
    "HistoryService/ListRevisions": lambda names: history_service_pb2.ListRevisionsRequest(
        parent=f"devices/{names.device}"
    ),
    "FleetService/ImportFleet": _rows,
    "FleetService/ExportFleet": lambda _names: fleet_service_pb2.ExportFleetRequest(),
    # Holds and requests for places have ids of their own: theirs is there, nobody's is not.
    "HoldService/GetHold": lambda names: _HOLD.GetHoldRequest(name=f"holds/{names.controller}"),
    "HoldService/ListHolds": lambda _names: _HOLD.ListHoldsRequest(),
    "HoldService/CreateHold": lambda names: _HOLD.CreateHoldRequest(
        hold_id="new", hold=hold(names), reason="prova", request_id=str(uuid.uuid4())
    ),
    "HoldService/ApproveHold": lambda names: _HOLD.ApproveHoldRequest(name=f"holds/{names.controller}", reason="prova"),
    "HoldService/ReleaseHold": lambda names: _HOLD.ReleaseHoldRequest(name=f"holds/{names.controller}", reason="prova"),
    "HoldService/ListHeldIntervals": lambda _names: _HOLD.ListHeldIntervalsRequest(),
    "PlacementService/GetPlacementRequest": lambda names: _PLACEMENT.GetPlacementRequestRequest(
        name=f"placementRequests/{names.controller}"
    ),
    "PlacementService/ListPlacementRequests": lambda _names: _PLACEMENT.ListPlacementRequestsRequest(),
    "PlacementService/CreatePlacementRequest": lambda names: _PLACEMENT.CreatePlacementRequestRequest(
        placement_request_id="new", placement_request=placement(names)
    ),
    "PlacementService/AdvancePlacementRequest": lambda names: _PLACEMENT.AdvancePlacementRequestRequest(
        name=f"placementRequests/{names.controller}",
        state=_PLACEMENT.PlacementRequest.STATE_ASSESSED,
        reason="prova",
    ),
}

CASES: Mapping[str, Make] = {
    f"/argo.registry.v1.{name}": make
    for name, make in (
        *_FURTHER.items(),
        *(
            (f"RegistryService/{name}", make)
            for resource in RESOURCES.values()
            for name, make in _standard(resource).items()
        ),
    )
}
"""By the full names of the methods."""

LISTS: Mapping[str, Message] = {
    **{
        f"/argo.registry.v1.RegistryService/List{resource.plural.capitalize()}": _request(
            registry_service_pb2,
            f"List{resource.plural.capitalize()}",
            {} if resource.is_root else {"parent": "/".join(f"{each}/-" for each in resource.pattern.collections[:-1])},
        )
        for resource in RESOURCES.values()
    },
    "/argo.registry.v1.RegistryService/WatchOptics": registry_service_pb2.WatchOpticsRequest(),
    "/argo.registry.v1.ProposalService/ListProposals": proposal_service_pb2.ListProposalsRequest(
        parent="devices/-/optics/-"
    ),
    "/argo.registry.v1.FleetService/ExportFleet": fleet_service_pb2.ExportFleetRequest(),
    "/argo.registry.v1.HoldService/ListHolds": hold_service_pb2.ListHoldsRequest(),
    "/argo.registry.v1.HoldService/ListHeldIntervals": hold_service_pb2.ListHeldIntervalsRequest(),
    "/argo.registry.v1.PlacementService/ListPlacementRequests": placement_service_pb2.ListPlacementRequestsRequest(),
}
"""What lists everything that the caller may see."""

NOT_A_LIST_OF_ALL = frozenset({"/argo.registry.v1.HistoryService/ListRevisions"})
"""These list what belongs to one record."""

CONTROLLER = site_pb2.Controller(display_name="Amiat", kind=site_pb2.Controller.KIND_PRIVATE_OWNER)
