"""The life of a proposal, walked whole."""

from __future__ import annotations

import pytest

from argo.registry.v1 import proposal_service_pb2
from mesh.identity import person_of
from registry.domain.proposing import TRANSITIONS, Event, Refusal, State, approval, rejection

FINAL = (State.APPROVED, State.REJECTED, State.WITHDRAWN, State.SUPERSEDED)


def test_the_table_knows_every_state_and_every_event() -> None:
    assert {state: set(events) for state, events in TRANSITIONS.items()} == {state: set(Event) for state in State}


def test_the_states_are_those_of_the_contract() -> None:
    names = set(proposal_service_pb2.Proposal.State.keys()) - {"STATE_UNSPECIFIED"}

    assert {f"STATE_{state.value}" for state in State} == names


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (Event.APPROVED_BY_AUTHOR, Refusal.SELF_APPROVAL),
        (Event.APPROVED_BY_SECOND_PERSON, State.APPROVED),
        (Event.REJECTED_BY_AUTHOR, State.WITHDRAWN),
        (Event.REJECTED_BY_SECOND_PERSON, State.REJECTED),
        (Event.RECORD_CHANGED, State.SUPERSEDED),
    ],
)
def test_an_open_proposal(event: Event, outcome: State | Refusal) -> None:
    assert TRANSITIONS[State.PROPOSED][event] is outcome


@pytest.mark.parametrize("state", FINAL)
@pytest.mark.parametrize("event", Event)
def test_a_decision_stands(state: State, event: Event) -> None:
    outcome = TRANSITIONS[state][event]

    if event is Event.RECORD_CHANGED:
        assert outcome is state
    else:
        assert outcome is (Refusal.SUPERSEDED if state is State.SUPERSEDED else Refusal.ALREADY_DECIDED)


def test_only_a_second_person_makes_a_change() -> None:
    ways = {
        (state, event) for state, events in TRANSITIONS.items() for event, to in events.items() if to is State.APPROVED
    }

    assert ways == {(State.PROPOSED, Event.APPROVED_BY_SECOND_PERSON), (State.APPROVED, Event.RECORD_CHANGED)}


@pytest.mark.parametrize(
    ("author", "decider", "same"),
    [
        ("administrator/mrossi", "administrator/mrossi", True),
        ("administrator/mrossi", "supervisor/mrossi", True),
        ("administrator/mrossi", "tenants/polizia/supervisor/mrossi", True),
        ("administrator/mrossi", "administrator/MRossi", True),
        ("administrator/mrossi", "administrator/lbianchi", False),
        ("administrator/mrossi", "administrator/rossi", False),
        ("tenants/polizia/administrator/a", "tenants/polizia/supervisor/b", False),
    ],
)
def test_a_person_is_one_in_every_role(author: str, decider: str, *, same: bool) -> None:
    assert (person_of(author) == person_of(decider)) is same
    assert approval(author, decider) is (Event.APPROVED_BY_AUTHOR if same else Event.APPROVED_BY_SECOND_PERSON)
    assert rejection(author, decider) is (Event.REJECTED_BY_AUTHOR if same else Event.REJECTED_BY_SECOND_PERSON)
