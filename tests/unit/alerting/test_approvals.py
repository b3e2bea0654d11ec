from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.domain.approvals import (
    DECIDERS,
    TIME_OF_USE,
    TIME_TO_DECIDE,
    TRANSITIONS,
    Approval,
    Decision,
    Kind,
    State,
    check_use,
    decide,
)
from alerting.domain.break_glass import TIME_IN_FORCE, TIME_TO_REVIEW, Review, begin, end, review
from alerting.domain.break_glass import State as CaseState
from mesh.errors import ArgoError, FailedPrecondition, PermissionDenied

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
PRINT = bytes(32)
ASKED = Approval("a1", Kind.SEARCH, b"", PRINT, "investigator/verdi", "testimony", NOW, NOW + TIME_TO_DECIDE)


def approval(state: State) -> Approval:
    return replace(ASKED, state=state) if state is not State.EXPIRED else replace(ASKED, expire_time=NOW)


def reason_of(call: object) -> str:
    assert callable(call)
    with pytest.raises(ArgoError) as caught:
        call()
    return caught.value.reason


@pytest.mark.parametrize(("state", "decision"), list(itertools.product(State, Decision)))
def test_every_state_and_every_decision(state: State, decision: Decision) -> None:
    own = decision in (Decision.GRANT_BY_AUTHOR, Decision.REJECT_BY_AUTHOR)
    grant = decision in (Decision.GRANT_BY_AUTHOR, Decision.GRANT_BY_ANOTHER)
    decider = "investigator/verdi" if own else "supervisor/bianchi"
    expected = TRANSITIONS.get((state, decision))

    if expected is None:
        error = PermissionDenied if own and grant else FailedPrecondition
        with pytest.raises(error):
            decide(approval(state), decider, "because", LATER, grant=grant)
        return
    decided = decide(approval(state), decider, "because", LATER, grant=grant)

    assert (decided.state, decided.decider, decided.decision_reason, decided.decide_time) == (
        expected, decider, "because", LATER,
    )  # fmt: skip


@pytest.mark.parametrize("decider", ["supervisor/verdi", "supervisor/Verdi", "tenants/amiat/supervisor/verdi"])
def test_nobody_grants_its_own_request_in_another_role(decider: str) -> None:
    assert reason_of(lambda: decide(ASKED, decider, "x", LATER, grant=True)) == "SELF_APPROVAL"


def test_two_roles_are_needed() -> None:
    export = replace(ASKED, kind=Kind.EXPORT, author="supervisor/bianchi")

    assert reason_of(lambda: decide(export, "supervisor/neri", "x", LATER, grant=True)) == "SAME_ROLE"
    assert decide(export, "investigator/verdi", "x", LATER, grant=True).state is State.GRANTED
    assert reason_of(lambda: decide(ASKED, "operator/rossi", "x", LATER, grant=True)) == "NOT_A_DECIDER"
    assert set(DECIDERS) == set(Kind)


def test_what_was_granted_is_for_exactly_that_and_for_its_time() -> None:
    granted = decide(ASKED, "supervisor/bianchi", "x", LATER, grant=True)

    check_use(granted, Kind.SEARCH, PRINT, LATER + TIME_OF_USE - timedelta(microseconds=1))
    assert reason_of(lambda: check_use(granted, Kind.SEARCH, b"\1" * 32, LATER)) == "APPROVAL_MISMATCH"
    assert reason_of(lambda: check_use(granted, Kind.EXPORT, PRINT, LATER)) == "APPROVAL_MISMATCH"
    assert reason_of(lambda: check_use(granted, Kind.SEARCH, PRINT, LATER + TIME_OF_USE)) == "APPROVAL_STATE"
    assert reason_of(lambda: check_use(ASKED, Kind.SEARCH, PRINT, LATER)) == "APPROVAL_STATE"


def test_broken_glass_ends_and_becomes_overdue_by_itself() -> None:
    case = begin("g1", "operator/rossi", "deferred", "child lost", "", NOW)

    tick = timedelta(microseconds=1)
    assert [
        case.state_at(time)
        for time in (
            NOW,
            NOW + TIME_IN_FORCE - tick,
            NOW + TIME_IN_FORCE,
            NOW + TIME_TO_REVIEW - tick,
            NOW + TIME_TO_REVIEW,
        )
    ] == [CaseState.OPEN, CaseState.OPEN, CaseState.ENDED, CaseState.ENDED, CaseState.OVERDUE]


def test_another_person_looks_into_it_once() -> None:
    case = begin("g1", "operator/rossi", "deferred", "child lost", "", NOW)
    said = Review("supervisor/bianchi", justified=False, reason="no emergency", time=LATER)

    reviewed = review(case, said)

    assert reviewed.state_at(LATER) is CaseState.UNJUSTIFIED
    assert reviewed.expire_time == LATER, "a review ends what is still in force"
    assert reason_of(lambda: review(reviewed, said)) == "ALREADY_DECIDED"
    assert reason_of(lambda: review(case, replace(said, reviewer="supervisor/rossi"))) == "SELF_APPROVAL"


def test_who_took_it_gives_it_back() -> None:
    case = begin("g1", "operator/rossi", "deferred", "child lost", "", NOW)

    assert end(case, "operator/rossi", LATER).expire_time == LATER
    assert end(case, "operator/rossi", NOW).expire_time > NOW
    assert end(case, "operator/rossi", NOW + TIME_TO_REVIEW) == case
    assert reason_of(lambda: end(case, "operator/verdi", LATER)) == "NOT_YOUR_CASE"
