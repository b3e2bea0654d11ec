from __future__ import annotations

from typing import Any

from alerting.search_desk import SearchDesk
from argo.alerting.v1 import search_service_pb2 as v1
from argo.alerting.v1 import search_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity


class SearchServicer(v1_grpc.SearchServiceServicer):
    """``argo.alerting.v1.SearchService``."""

    def __init__(self, desk: SearchDesk) -> None:
        self._desk = desk

    async def SearchObservations(  # noqa: N802 - the contract's name
        self, request: v1.SearchObservationsRequest, _context: Any
    ) -> v1.SearchObservationsResponse:
        """See the contract."""
        return await self._desk.search(request, current_identity().path)
