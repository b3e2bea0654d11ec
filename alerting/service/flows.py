from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from alerting import contracts
from alerting.domain.audience import Audience
from alerting.domain.flows.cells import Cell, Kind
from alerting.domain.flows.service_levels import Scale, level_of_service
from alerting.domain.tokens import invalid
from alerting.flow_contracts import place_name
from alerting.flow_desk import FlowDesk, Question
from alerting.metrics import Metrics
from argo.alerting.v1 import flow_service_pb2 as v1
from argo.alerting.v1 import flow_service_pb2_grpc as v1_grpc
from argo.type.v1 import object_class_pb2
from mesh.access.matrix import matrix
from mesh.identity import current_grant, current_identity


class FlowServicer(v1_grpc.FlowServiceServicer):
    """``argo.alerting.v1.FlowService``."""

    def __init__(self, desk: FlowDesk[Cell], metrics: Metrics, relative_error: float | None) -> None:
        """Takes the desk, the metrics, and one standard error of the detector's counts as a share of them, if known."""
        self._desk = desk
        self._metrics = metrics
        self._relative_error = relative_error

    async def ListFlows(self, request: v1.ListFlowsRequest, _context: Any) -> v1.ListFlowsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        question = question_of(request)
        page = (request.page_size, request.page_token)
        cells, token = await self._desk.list_cells(audience(), question, interval_of(request), page)
        return v1.ListFlowsResponse(
            flows=[flow_message(cell, self._relative_error) for cell in cells], next_page_token=token
        )

    async def WatchFlows(self, request: v1.WatchFlowsRequest, _context: Any) -> AsyncIterator[v1.WatchFlowsResponse]:  # noqa: N802 - the contract's name
        """See the contract."""
        question = question_of(request)
        with self._metrics.watches.track_inprogress():
            async for update in self._desk.watch(audience(), question, request.resume_token):
                response = v1.WatchFlowsResponse(resume_token=update.mark.token)
                if update.cell is None:
                    response.bookmark.SetInParent()
                else:
                    response.completed.CopyFrom(flow_message(update.cell, self._relative_error))
                yield response


def flow_message(cell: Cell, relative_error: float | None) -> v1.Flow:
    """A cell as the contract shows it.

    Args:
        cell: what was counted.
        relative_error: of the detector's counts, one standard error; none: not known.
    """
    key = cell.key
    message = v1.Flow(
        place=key.place,
        object_class=object_class_pb2.ObjectClass.ValueType(key.object_class),
        start_time=contracts.timestamp(key.start),
        interval=duration(cell.interval),
        coverage=cell.coverage,
        to_place=key.to_place,
    )
    present = Kind.of(key.place) is Kind.ZONE
    estimate = cell.present(relative_error) if present else cell.crossed(relative_error)
    if estimate is not None:
        message.figures.CopyFrom(_figures(cell))
        message.figures.count, message.figures.count_uncertainty = estimate.value, estimate.uncertainty
        message.figures.detector_error_included = relative_error is not None
    return message


def _figures(cell: Cell) -> v1.Flow.Figures:
    sums, density, present = cell.sums, cell.density, cell.present(None)
    level = level_of_service(density, Scale.WALKWAY) if density is not None else 0
    return v1.Flow.Figures(
        mean_speed=cell.mean_speed or 0.0,
        density=density or 0.0,
        counted=cell.counted,
        left_to_right=sums.left_to_right,
        right_to_left=sums.right_to_left,
        speeds_measured=sums.measured,
        mean_present=present.value if present is not None else 0.0,
        maximum_present=sums.maximum_present,
        maximum_density=sums.maximum_density,
        level_of_service=v1.LevelOfService.ValueType(level),
        time_to_collision_conflicts=sums.time_to_collision,
        post_encroachment_conflicts=sums.post_encroachment,
    )


def interval_of(request: v1.ListFlowsRequest) -> tuple[datetime, datetime]:
    """From when until when, in UTC.

    Raises:
        InvalidArgument: one of them is missing or no time.
    """
    if not request.HasField("interval"):
        raise invalid("interval", "is required")
    return contracts.time_of(request.interval, "start_time"), contracts.time_of(request.interval, "end_time")


def places_of(request: v1.ListFlowsRequest | v1.WatchFlowsRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The places and the sites of a request, in order and each once.

    Raises:
        InvalidArgument: one is no name of a place.
    """
    places = tuple(sorted({place_name(name) for name in request.places}))
    sites = tuple(sorted({contracts.site_name(name, "sites") for name in request.sites} - {""}))
    return places, sites


def question_of(request: v1.ListFlowsRequest | v1.WatchFlowsRequest, *, reason_required: bool = True) -> Question:
    """What is asked for.

    Raises:
        InvalidArgument: a part of it is wrong.
    """
    reason = contracts.text_of(request.reason, "reason", required=reason_required)
    places, sites = places_of(request)
    return Question(places, sites, contracts.duration_of(request, "granularity"), reason, everywhere=_for_security())


def audience() -> Audience:
    """Who calls."""
    return Audience(current_identity().path)


def _for_security() -> bool:
    """Whether who calls is there for a purpose under D.Lgs. 51/2018."""
    regimes = matrix().purposes
    return any(regimes[purpose] == "led" for purpose in current_grant().purposes)


def duration(span: timedelta) -> Duration:
    """A length of time."""
    value = Duration()
    value.FromTimedelta(span)
    return value
