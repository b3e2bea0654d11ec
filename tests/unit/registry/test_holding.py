"""The life of a legal hold: every state, every event."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from argo.registry.v1 import hold_service_pb2
from registry.domain.holding import (
    LONGEST_HOLD,
    LONGEST_INTERVAL,
    TRANSITIONS,
    Event,
    Refusal,
    State,
    approval,
    step,
    time_problems,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

# Told apart from the product's table: what may happen; all the rest is refused.
ALLOWED = {
    (State.PROPOSED, Event.FIRST_APPROVAL): State.PROPOSED,
    (State.PROPOSED, Event.SECOND_APPROVAL): State.ACTIVE,
    (State.PROPOSED, Event.RELEASED): State.RELEASED,
    (State.PROPOSED, Event.EXPIRED): State.EXPIRED,
    (State.ACTIVE, Event.RELEASED): State.RELEASED,
    (State.ACTIVE, Event.EXPIRED): State.EXPIRED,
}


def test_the_states_are_those_of_the_contract() -> None:
    assert {f"STATE_{state.value}" for state in State} == set(hold_service_pb2.Hold.State.keys()) - {
        "STATE_UNSPECIFIED"
    }


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_event_in_every_state(state: State, event: Event) -> None:
    result = step(state, event, expire_time=NOW + HOUR, now=NOW)

    assert result == TRANSITIONS[state][event]
    if (state, event) in ALLOWED:
        assert result is ALLOWED[state, event]
    else:
        assert isinstance(result, Refusal)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_after_its_time_a_hold_only_expires(state: State, event: Event) -> None:
    result = step(state, event, expire_time=NOW, now=NOW)

    expected = (
        State.EXPIRED if event is Event.EXPIRED and state in (State.PROPOSED, State.ACTIVE) else Refusal.HOLD_ENDED
    )
    assert result is expected


def test_only_a_second_approval_makes_it_active() -> None:
    leading = {
        (state, event) for state in State for event, result in TRANSITIONS[state].items() if result is State.ACTIVE
    }

    assert leading == {(State.PROPOSED, Event.SECOND_APPROVAL)}


@pytest.mark.parametrize(
    ("approvers", "approver", "event"),
    [
        ([], "operator/mrossi", Event.APPROVED_BY_PROPOSER),
        ([], "supervisor/mrossi", Event.APPROVED_BY_PROPOSER),
        ([], "administrator/MRossi", Event.APPROVED_BY_PROPOSER),
        (["supervisor/lbianchi"], "supervisor/mrossi", Event.APPROVED_BY_PROPOSER),
        (["supervisor/lbianchi"], "supervisor/lbianchi", Event.APPROVED_AGAIN),
        (["supervisor/lbianchi"], "administrator/lbianchi", Event.APPROVED_AGAIN),
        ([], "supervisor/lbianchi", Event.FIRST_APPROVAL),
        (["supervisor/lbianchi"], "administrator/gverdi", Event.SECOND_APPROVAL),
    ],
)
def test_whose_approval_it_is(approvers: list[str], approver: str, event: Event) -> None:
    assert approval("operator/mrossi", approvers, approver) is event


@pytest.mark.parametrize(
    ("start", "end", "expire", "fields"),
    [
        (-HOUR, -HOUR / 2, HOUR, set()),
        (HOUR, 2 * HOUR, 2 * HOUR, set()),
        (-HOUR, -HOUR, HOUR, {"interval.end_time"}),
        (-HOUR, -2 * HOUR, HOUR, {"interval.end_time"}),
        (-LONGEST_INTERVAL, timedelta(0), HOUR, set()),
        (-LONGEST_INTERVAL - HOUR, timedelta(0), HOUR, {"interval.end_time"}),
        (-HOUR, timedelta(0), timedelta(0), {"expire_time"}),
        (-HOUR, 2 * HOUR, HOUR, {"expire_time"}),
        (-HOUR, HOUR, LONGEST_HOLD, set()),
        (-HOUR, HOUR, LONGEST_HOLD + HOUR, {"expire_time"}),
        (HOUR, -HOUR, -HOUR, {"interval.end_time", "expire_time"}),
    ],
)
def test_times(start: timedelta, end: timedelta, expire: timedelta, fields: set[str]) -> None:
    assert set(time_problems(NOW + start, NOW + end, NOW + expire, NOW)) == fields
