from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from alerting import contracts
from alerting.dispatch_desk import DispatchDesk
from alerting.dispatch_messages import dispatch_message
from alerting.domain.dispatches import Outcome
from alerting.domain.tokens import invalid
from alerting.metrics import Metrics
from argo.alerting.v1 import dispatch_service_pb2 as v1
from argo.alerting.v1 import dispatch_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity


class DispatchServicer(v1_grpc.DispatchServiceServicer):
    """``argo.alerting.v1.DispatchService``."""

    def __init__(self, desk: DispatchDesk, metrics: Metrics) -> None:
        self._desk = desk
        self._metrics = metrics

    async def WatchDispatches(  # noqa: N802 - the contract's name
        self, request: v1.WatchDispatchesRequest, _context: Any
    ) -> AsyncIterator[v1.WatchDispatchesResponse]:
        """See the contract."""
        reason = contracts.text_of(request.reason, "reason", required=True)
        with self._metrics.watches.track_inprogress():
            async for handover in self._desk.watch(current_identity().path, request.resume_token, reason):
                response = v1.WatchDispatchesResponse(resume_token=handover.position.token)
                if handover.dispatch is None:
                    response.bookmark.SetInParent()
                else:
                    response.dispatch.CopyFrom(dispatch_message(handover.dispatch))
                yield response

    async def AcknowledgeDispatch(self, request: v1.AcknowledgeDispatchRequest, _context: Any) -> v1.Dispatch:  # noqa: N802 - the contract's name
        """See the contract."""
        identifier = contracts.identifier(request.name, "dispatches")
        return dispatch_message(await self._desk.acknowledge(current_identity().path, identifier))

    async def ReportOutcome(self, request: v1.ReportOutcomeRequest, _context: Any) -> v1.Dispatch:  # noqa: N802 - the contract's name
        """See the contract."""
        if int(request.outcome) not in set(Outcome):
            raise invalid("outcome", "is required: taken on, confirmed, not found or declined")
        identifier, note = contracts.identifier(request.name, "dispatches"), contracts.text_of(request.note, "note")
        outcome = Outcome(request.outcome)
        return dispatch_message(await self._desk.report(current_identity().path, identifier, outcome, note))
