"""Requests for cameras and light: the records of ``registry.domain.placing``, and what became of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from argo.registry.v1 import placement_service_pb2 as pb
from mesh.errors import FailedPrecondition, FieldViolation
from mesh.postgres import Pool
from registry import requests
from registry.cases import QUERIES, Cases, NewCase
from registry.domain import fields, placing
from registry.domain.names import NamePattern
from registry.domain.network import CameraNetworks
from registry.domain.placing import TRANSITIONS, Papers, State, Stay
from registry.metrics import CaseMetrics
from registry.resources import Resource
from registry.store import Author, RecordStore

log = structlog.get_logger()

_SITE = NamePattern(("sites",))
_DEPLOYMENT = NamePattern(("devices", "deployments"))
_MEASURES = frozenset(pb.PlacementRequest.Measure.values()) - {0}
_CAMERA = pb.PlacementRequest.MEASURE_MOBILE_CAMERA


def check_placement_request(
    request: pb.PlacementRequest, _networks: CameraNetworks | None = None
) -> list[FieldViolation]:
    """What is wrong with a new request."""
    found = fields.Violations("placement_request")
    found.add("requester", fields.text_problem(request.requester, required=True))
    found.add("site", None if _SITE.matches(request.site) else f"must be {_SITE}")
    found.add("reason", fields.reason_problem(request.reason))
    if not request.measures or not _MEASURES.issuperset(request.measures):
        found.add("measures", "must name what is asked for: MEASURE_MOBILE_CAMERA, MEASURE_LIGHTING or both")
    if len(set(request.measures)) != len(request.measures):
        found.add("measures", "must not name a measure twice")
    return found.found


PLACEMENT_REQUEST = Resource(
    kind="placement_request",
    plural="placement_requests",
    pattern=NamePattern(("placementRequests",)),
    message=pb.PlacementRequest,
    check=check_placement_request,
    owner=("controller",),
    output_only=("steps",),
)


class Placements:
    """The requests and what becomes of them."""

    def __init__(self, pool: Pool, records: RecordStore, metrics: CaseMetrics, clock: Callable[[], datetime]) -> None:
        """Takes what they are kept with.

        Args:
            pool: on the registry's migrated schema.
            records: in the same schema.
            metrics: count the steps.
            clock: the present time, aware.
        """
        self.cases = Cases(PLACEMENT_REQUEST, pool, records, lambda request: str(request.decision))
        self._metrics = metrics
        self._clock = clock

    async def propose(self, new: NewCase) -> Any:
        """A new request.

        Raises:
            InvalidArgument: with everything that is wrong with it.
            AlreadyExists: there is one of this name.
            FailedPrecondition: there is no such site in the author's sight.
        """
        violations = [*new.violations, *check_placement_request(new.message)]
        # In one order, so that the same is said in one way.
        new.message.measures.sort()
        new.message.state = pb.PlacementRequest.STATE_PROPOSED
        request = await self.cases.create(dataclasses.replace(new, violations=violations))
        log.info("placement.proposed", placement=request.name, site=request.site)
        self._count(request)
        return request

    async def advance(self, asked: pb.AdvancePlacementRequestRequest, author: Author) -> Any:
        """Takes a request to the state that is asked for.

        Raises:
            InvalidArgument: there is no such state, or its papers are missing or wrong.
            FailedPrecondition: the present state does not lead there, or the deployment does not answer the request.
        """
        target, papers = _state_asked_for(asked), _papers(asked)

        async def change(connection: Any, request: Any) -> Any:
            _check_step(state_of(request), target, request.name)
            camera = _CAMERA in request.measures
            _check_papers(placing.paper_problems(target, papers, mobile_camera=camera, now=self._clock()))
            if papers.deployment:
                await _check_stay(connection, request, papers.deployment, author.sight(PLACEMENT_REQUEST))
                request.deployment = papers.deployment
            if papers.decision_time is not None:
                request.decision = papers.decision
                request.decision_time.CopyFrom(asked.decision_time)
            request.state = asked.state
            return request

        request = await self.cases.advance(asked.name, asked.etag, author, change)
        log.info("placement.advanced", placement=request.name, site=request.site, state=target.value)
        self._count(request)
        return request

    def _count(self, request: Any) -> None:
        self._metrics.steps.labels("placement_request", pb.PlacementRequest.State.Name(request.state)).inc()


def state_of(request: Any) -> State:
    """The state of a request in the terms of the domain."""
    return State(pb.PlacementRequest.State.Name(request.state).removeprefix("STATE_"))


def _state_asked_for(asked: pb.AdvancePlacementRequestRequest) -> State:
    requests.check_encodable(asked, "decision_time")
    found = fields.Violations()
    if asked.state not in pb.PlacementRequest.State.values() or asked.state == pb.PlacementRequest.STATE_UNSPECIFIED:
        found.add("state", "must be the state that the request is to come to")
    found.add("decision", fields.text_problem(asked.decision))
    if asked.deployment and not _DEPLOYMENT.matches(asked.deployment):
        found.add("deployment", f"must be {_DEPLOYMENT}")
    if found.found:
        requests.check_name("name", asked.name, PLACEMENT_REQUEST.pattern, found.found + requests.check_reason(asked))
    return State(pb.PlacementRequest.State.Name(asked.state).removeprefix("STATE_"))


def _papers(asked: pb.AdvancePlacementRequestRequest) -> Papers:
    decision_time = asked.decision_time.ToDatetime(UTC) if asked.HasField("decision_time") else None
    return Papers(asked.decision, decision_time, asked.deployment)


def _check_step(state: State, target: State, name: str) -> None:
    if target not in TRANSITIONS[state]:
        raise FailedPrecondition(
            f"{name} cannot come from STATE_{state.value} to STATE_{target.value}",
            reason="STEP_NOT_ALLOWED",
            metadata={"placementRequest": name, "state": f"STATE_{state.value}", "asked": f"STATE_{target.value}"},
        )


def _check_papers(problems: Mapping[str, str]) -> None:
    requests.refuse([FieldViolation(field, problem) for field, problem in problems.items()])


async def _check_stay(connection: Any, request: Any, deployment: str, sight: str | None) -> None:
    row = await connection.fetchrow(QUERIES["stay_of_deployment"], deployment, sight)
    stay = None if row is None else Stay(row["site"], row["start_time"])
    problem = placing.stay_problem(stay, request.site, request.decision_time.ToDatetime(UTC))
    if problem is not None:
        raise FailedPrecondition(problem, reason="DEPLOYMENT_NOT_MATCHING", metadata={"deployment": deployment})
