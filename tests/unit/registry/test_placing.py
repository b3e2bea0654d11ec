"""The life of a request for a camera or for light: every step, and the papers that it needs."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from argo.registry.v1 import placement_service_pb2
from registry.domain.placing import TRANSITIONS, Papers, State, Stay, paper_problems, stay_problem

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DECIDED = Papers(decision="COSP 88/2026", decision_time=NOW - DAY)
DEPLOYED = Papers(deployment="devices/carro-1/deployments/alimonda")

# Told apart from the product's table.
ALLOWED = {
    (State.PROPOSED, State.ASSESSED), (State.ASSESSED, State.DECIDED), (State.DECIDED, State.DEPLOYED),
    (State.PROPOSED, State.REFUSED), (State.ASSESSED, State.REFUSED), (State.DECIDED, State.REFUSED),
}  # fmt: skip


def test_the_states_are_those_of_the_contract() -> None:
    names = placement_service_pb2.PlacementRequest.State.keys()

    assert {f"STATE_{state.value}" for state in State} == set(names) - {"STATE_UNSPECIFIED"}


@pytest.mark.parametrize(("state", "target"), list(itertools.product(State, State)))
def test_every_step_from_every_state(state: State, target: State) -> None:
    assert (target in TRANSITIONS[state]) == ((state, target) in ALLOWED)


def fields(state: State, papers: Papers, *, camera: bool = True) -> set[str]:
    return set(paper_problems(state, papers, mobile_camera=camera, now=NOW))


def test_a_decision_needs_its_number_and_day() -> None:
    assert fields(State.DECIDED, Papers()) == {"decision", "decision_time"}
    assert fields(State.DECIDED, Papers(decision="  ", decision_time=NOW)) == {"decision"}
    assert fields(State.DECIDED, Papers(decision="COSP 88/2026", decision_time=NOW + DAY)) == {"decision_time"}
    assert not fields(State.DECIDED, DECIDED)


def test_a_camera_that_was_asked_for_needs_its_deployment() -> None:
    assert fields(State.DEPLOYED, Papers()) == {"deployment"}
    assert not fields(State.DEPLOYED, Papers(), camera=False)
    assert not fields(State.DEPLOYED, DEPLOYED)


@pytest.mark.parametrize("state", [State.ASSESSED, State.REFUSED])
def test_other_steps_take_no_papers(state: State) -> None:
    assert not fields(state, Papers())
    assert fields(state, DECIDED) == {"decision"}
    assert fields(state, DEPLOYED) == {"deployment"}


def test_papers_of_the_other_step() -> None:
    assert fields(State.DECIDED, Papers("COSP 88/2026", NOW, DEPLOYED.deployment)) == {"deployment"}
    assert fields(State.DEPLOYED, Papers("COSP 88/2026", NOW, DEPLOYED.deployment)) == {"decision"}


@pytest.mark.parametrize(
    ("stay", "problem"),
    [
        (None, "the deployment does not exist"),
        (Stay("sites/montanaro", NOW), "the deployment is at another site"),
        (Stay("sites/alimonda", NOW - DAY), "the deployment began before the decision"),
        (Stay("sites/alimonda", NOW), None),
        (Stay("sites/alimonda", NOW + DAY), None),
    ],
)
def test_which_deployment_answers_a_request(stay: Stay | None, problem: str | None) -> None:
    assert stay_problem(stay, "sites/alimonda", NOW) == problem
