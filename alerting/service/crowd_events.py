from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from alerting import contracts
from alerting.crowd_desk import Asked, CrowdDesk
from alerting.domain.audience import Audience
from alerting.domain.tokens import invalid
from alerting.metrics import Metrics
from argo.alerting.v1 import crowd_event_service_pb2 as v1
from argo.alerting.v1 import crowd_event_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity


class CrowdEventServicer(v1_grpc.CrowdEventServiceServicer):
    """``argo.alerting.v1.CrowdEventService``."""

    def __init__(self, desk: CrowdDesk, metrics: Metrics) -> None:
        self._desk = desk
        self._metrics = metrics

    async def CreateCrowdEvent(self, request: v1.CreateCrowdEventRequest, _context: Any) -> v1.CrowdEvent:  # noqa: N802 - the contract's name
        """See the contract."""
        event_id = contracts.identifier(f"crowdEvents/{request.crowd_event_id}", "crowdEvents")
        if not request.HasField("crowd_event"):
            raise invalid("crowd_event", "is required")
        return await self._desk.create(_asked(request), event_id, request.crowd_event)

    async def GetCrowdEvent(self, request: v1.GetCrowdEventRequest, _context: Any) -> v1.CrowdEvent:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._desk.get(_asked(request), _event_id(request.name))

    async def ListCrowdEvents(self, request: v1.ListCrowdEventsRequest, _context: Any) -> v1.ListCrowdEventsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        events, token = await self._desk.list_events(_asked(request), (request.page_size, request.page_token))
        return v1.ListCrowdEventsResponse(crowd_events=events, next_page_token=token)

    async def UpdateCrowdEvent(self, request: v1.UpdateCrowdEventRequest, _context: Any) -> v1.CrowdEvent:  # noqa: N802 - the contract's name
        """See the contract."""
        event = request.crowd_event
        return await self._desk.update(_asked(request), _event_id(event.name), event)

    async def CloseCrowdEvent(self, request: v1.CloseCrowdEventRequest, _context: Any) -> v1.CrowdEvent:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._desk.close(_asked(request), _event_id(request.name))

    async def WatchCrowdEvent(  # noqa: N802 - the contract's name
        self, request: v1.WatchCrowdEventRequest, _context: Any
    ) -> AsyncIterator[v1.WatchCrowdEventResponse]:
        """See the contract."""
        asked, event_id = _asked(request), _event_id(request.name)
        with self._metrics.watches.track_inprogress():
            async for response in self._desk.watch(asked, event_id):
                yield response


def _asked(request: Any) -> Asked:
    return Asked(Audience(current_identity().path), contracts.text_of(request.reason, "reason", required=True))


def _event_id(name: str) -> str:
    return contracts.identifier(name, "crowdEvents")
