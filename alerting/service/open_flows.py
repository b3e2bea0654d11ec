from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from alerting import contracts
from alerting.domain.flows.cells import Kind
from alerting.domain.flows.release import OpenFlow
from alerting.domain.flows.service_levels import Scale, level_of_service
from alerting.flow_desk import FlowDesk
from alerting.metrics import Metrics
from alerting.service.flows import audience, duration, interval_of, question_of
from argo.alerting.v1 import flow_service_pb2 as v1
from argo.alerting.v1 import flow_service_pb2_grpc as v1_grpc


class OpenFlowServicer(v1_grpc.OpenFlowServiceServicer):
    """``argo.alerting.v1.OpenFlowService``."""

    def __init__(self, desk: FlowDesk[OpenFlow], metrics: Metrics) -> None:
        self._desk = desk
        self._metrics = metrics

    async def ListFlows(self, request: v1.ListFlowsRequest, _context: Any) -> v1.ListFlowsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        question = question_of(request, reason_required=False)
        page = (request.page_size, request.page_token)
        flows, token = await self._desk.list_cells(audience(), question, interval_of(request), page)
        return v1.ListFlowsResponse(flows=[open_flow_message(flow) for flow in flows], next_page_token=token)

    async def WatchFlows(self, request: v1.WatchFlowsRequest, _context: Any) -> AsyncIterator[v1.WatchFlowsResponse]:  # noqa: N802 - the contract's name
        """See the contract."""
        question = question_of(request, reason_required=False)
        with self._metrics.watches.track_inprogress():
            async for update in self._desk.watch(audience(), question, request.resume_token):
                response = v1.WatchFlowsResponse(resume_token=update.mark.token)
                if update.cell is None:
                    response.bookmark.SetInParent()
                else:
                    response.completed.CopyFrom(open_flow_message(update.cell))
                yield response


def open_flow_message(flow: OpenFlow) -> v1.Flow:
    """What everybody sees of a cell."""
    message = v1.Flow(
        place=flow.key.place,
        category=v1.Flow.Category.ValueType(flow.key.object_class),
        start_time=contracts.timestamp(flow.key.start),
        interval=duration(flow.interval),
        coverage=flow.coverage,
        withheld_cells=flow.withheld,
    )
    if flow.figures is not None:
        message.figures.CopyFrom(_figures(flow))
    return message


def _figures(flow: OpenFlow) -> v1.Flow.Figures:
    published = flow.figures
    assert published is not None, "the caller looked"
    zone, density = Kind.of(flow.key.place) is Kind.ZONE, published.density
    return v1.Flow.Figures(
        count=published.count,
        count_uncertainty=published.uncertainty,
        mean_speed=published.speed or 0.0,
        density=density or 0.0,
        left_to_right=published.left_to_right or 0,
        right_to_left=published.right_to_left or 0,
        mean_present=published.count if zone else 0.0,
        level_of_service=v1.LevelOfService.ValueType(
            level_of_service(density, Scale.WALKWAY) if density is not None else 0
        ),
    )
