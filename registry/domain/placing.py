"""The life of a request for a camera or for light: proposed, assessed, decided by the COSP, deployed or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType


class State(Enum):
    """How far a request has come; the values are the names of ``PlacementRequest.State``, without prefix."""

    PROPOSED = "PROPOSED"
    ASSESSED = "ASSESSED"
    DECIDED = "DECIDED"
    DEPLOYED = "DEPLOYED"
    REFUSED = "REFUSED"


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.PROPOSED: frozenset({State.ASSESSED, State.REFUSED}),
        State.ASSESSED: frozenset({State.DECIDED, State.REFUSED}),
        State.DECIDED: frozenset({State.DEPLOYED, State.REFUSED}),
        State.DEPLOYED: frozenset(),
        State.REFUSED: frozenset(),
    }
)
"""Where each state may lead; the table of the database keeps to it too (migration 00.02.00_05)."""


@dataclass(frozen=True)
class Papers:
    """What a step rests on.

    Attributes:
        decision: number of the COSP's decision; empty: none was given.
        decision_time: the day of it, aware; None: none was given.
        deployment: ``devices/{device}/deployments/{deployment}``; empty: none was given.
    """

    decision: str = ""
    decision_time: datetime | None = None
    deployment: str = ""


def paper_problems(state: State, papers: Papers, *, mobile_camera: bool, now: datetime) -> Mapping[str, str]:
    """What is wrong with the papers of a step, by field.

    Args:
        state: that the step leads to.
        papers: as given with the step.
        mobile_camera: whether one was asked for.
        now: the present time, aware.
    """
    problems = {}
    if state is State.DECIDED:
        if not papers.decision.strip():
            problems["decision"] = "is required: the number of the COSP's decision"
        if papers.decision_time is None:
            problems["decision_time"] = "is required: the day of the COSP's decision"
        elif papers.decision_time > now:
            problems["decision_time"] = "must not lie ahead"
    elif papers.decision or papers.decision_time is not None:
        problems["decision"] = "belongs to the step to STATE_DECIDED alone"
    if state is State.DEPLOYED:
        if mobile_camera and not papers.deployment:
            problems["deployment"] = "is required: a mobile camera was asked for"
    elif papers.deployment:
        problems["deployment"] = "belongs to the step to STATE_DEPLOYED alone"
    return problems


@dataclass(frozen=True)
class Stay:
    """A deployment that is said to answer a request.

    Attributes:
        site: ``sites/{site}``.
        start: aware.
    """

    site: str
    start: datetime


def stay_problem(stay: Stay | None, site: str, decision_time: datetime) -> str | None:
    """Why a deployment does not answer a request that was decided.

    Args:
        stay: the deployment; None: there is none of that name.
        site: that was asked for.
        decision_time: of the COSP's decision on the request, aware.
    """
    if stay is None:
        return "the deployment does not exist"
    if stay.site != site:
        return "the deployment is at another site"
    if stay.start < decision_time:
        return "the deployment began before the decision"
    return None
