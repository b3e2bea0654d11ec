"""PlacementService: unpacks, calls, packs."""

from __future__ import annotations

from typing import Any

from argo.registry.v1 import placement_service_pb2 as pb
from mesh.identity import current_identity
from registry import requests
from registry.auditing import ReadLog, audited
from registry.cases import NewCase, own_fields
from registry.placements import PLACEMENT_REQUEST, Placements
from registry.store import Author

FULL_NAME = "argo.registry.v1.PlacementService"
_OWN_FIELDS = ("requester", "site", "reason", "measures", "controller")


class PlacementServicer:
    """Answers for the requests for cameras and light."""

    def __init__(self, placements: Placements, reads: ReadLog) -> None:
        """Takes the requests, and the log of reads."""
        self.reads = reads
        self._placements = placements

    @audited
    async def GetPlacementRequest(  # noqa: N802 - the contract's name
        self, request: pb.GetPlacementRequestRequest, _context: Any
    ) -> pb.PlacementRequest:
        """One request."""
        found: pb.PlacementRequest = await self._placements.cases.get(request.name)
        return found

    @audited
    async def ListPlacementRequests(  # noqa: N802
        self, request: pb.ListPlacementRequestsRequest, _context: Any
    ) -> pb.ListPlacementRequestsResponse:
        """A page of requests."""
        found, next_page_token = await self._placements.cases.page(request)
        return pb.ListPlacementRequestsResponse(placement_requests=found, next_page_token=next_page_token)

    async def CreatePlacementRequest(  # noqa: N802
        self, request: pb.CreatePlacementRequestRequest, _context: Any
    ) -> pb.PlacementRequest:
        """A new request; why somebody asks is why it is on record."""
        message = own_fields(request.placement_request, _OWN_FIELDS)
        author = Author(current_identity().path, "CreatePlacementRequest", message.reason)
        message.name = PLACEMENT_REQUEST.pattern.child("", request.placement_request_id)
        violations = requests.check_ids(PLACEMENT_REQUEST, request, "")
        created: pb.PlacementRequest = await self._placements.propose(
            NewCase(message, author, requests.repeatable(request, author), violations)
        )
        return created

    async def AdvancePlacementRequest(  # noqa: N802
        self, request: pb.AdvancePlacementRequestRequest, _context: Any
    ) -> pb.PlacementRequest:
        """One step."""
        author = Author(current_identity().path, "AdvancePlacementRequest", request.reason)
        advanced: pb.PlacementRequest = await self._placements.advance(request, author)
        return advanced
