from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.alerts import TRANSITIONS, Act, Alert, Assessment, Priority, State, Step, Transition, take
from alerting.domain.audience import Audience
from mesh.errors import Aborted, FailedPrecondition

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALLOWED = {
    State.RAISED: {
        Act.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Act.ESCALATE: State.RAISED,
        Act.SHELVE: State.SHELVED,
        Act.FOLD: State.CLOSED,
    },
    State.ACKNOWLEDGED: {
        Act.VERIFY: State.VERIFIED,
        Act.DISPATCH: State.DISPATCHED,
        Act.CLOSE: State.CLOSED,
        Act.SHELVE: State.SHELVED,
        Act.HAND_OVER: State.ACKNOWLEDGED,
    },
    State.VERIFIED: {
        Act.DISPATCH: State.DISPATCHED,
        Act.CLOSE: State.CLOSED,
        Act.SHELVE: State.SHELVED,
        Act.HAND_OVER: State.VERIFIED,
    },
    State.DISPATCHED: {
        Act.DISPATCH: State.DISPATCHED,
        Act.VERIFY: State.DISPATCHED,
        Act.CLOSE: State.CLOSED,
        Act.HAND_OVER: State.DISPATCHED,
        Act.RECEIVE: State.DISPATCHED,
        Act.REPORT: State.DISPATCHED,
    },
    State.CLOSED: {Act.RECEIVE: State.CLOSED, Act.REPORT: State.CLOSED},
    State.SHELVED: {Act.UNSHELVE: State.RAISED},
}


def alert(state: State = State.RAISED, **changes: object) -> Alert:
    base = Alert(
        alert_id="a-1",
        state=state,
        priority=Priority.MEDIUM,
        optic="devices/d/optics/o",
        site="sites/s",
        rule="devices/d/optics/o/rules/r",
        place="devices/d/optics/o/zones/z",
        summary="Person inside zone.",
        event=b"",
        event_count=1,
        create_time=NOW,
        update_time=NOW,
        capture_time=NOW,
        last_capture_time=NOW,
        expire_time=NOW + timedelta(days=7),
        change=10,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def step(act: Act, **details: object) -> Step:
    recipient = "authorities/questura" if act is Act.DISPATCH else ""
    assessment = Assessment.TRUE if act is Act.VERIFY else Assessment.NONE
    owner = "operator/rossi" if act is Act.HAND_OVER else ""
    base = Step(act, "operator/rossi", "because", recipient=recipient, assessment=assessment, owner=owner)
    return replace(base, **details)  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "act"), list(itertools.product(State, Act)))
def test_every_state_takes_exactly_the_acts_of_the_table(state: State, act: Act) -> None:
    before = alert(state)
    expected = ALLOWED[state].get(act)
    if expected is None:
        with pytest.raises(FailedPrecondition) as caught:
            take(before, step(act), NOW)
        assert caught.value.reason == "ALERT_STATE"
        assert caught.value.metadata == {"name": "alerts/a-1", "state": state.name, "act": act.value}
    else:
        later = NOW + timedelta(seconds=5)
        after = take(before, step(act), later)
        assert after.state is expected
        assert after.update_time == later
        object_ = step(act).recipient or step(act).owner
        assert after.transitions[-1] == Transition(expected, "operator/rossi", later, "because", act, object_)


def test_the_table_leads_nowhere_else() -> None:
    assert dict(TRANSITIONS) == {(state, act): to for state, acts in ALLOWED.items() for act, to in acts.items()}


@given(st.lists(st.sampled_from(Act), max_size=8))
def test_whatever_is_tried_the_history_tells_how_the_state_came_about(acts: list[Act]) -> None:
    current = alert()
    taken = 0
    for index, act in enumerate(acts):
        try:
            current = take(current, step(act, recipient=f"authorities/a{index}"), NOW)
            taken += 1
        except FailedPrecondition:
            continue

    assert len(current.transitions) == taken
    assert current.state is (current.transitions[-1].state if taken else State.RAISED)
    assert len(current.recipients) == sum(one.act is Act.DISPATCH for one in current.transitions)


def test_a_stale_etag_is_refused_before_anything_else() -> None:
    with pytest.raises(Aborted) as caught:
        take(alert(State.CLOSED), step(Act.CLOSE, etag="9"), NOW)
    assert caught.value.reason == "ALERT_CHANGED"


def test_the_current_etag_passes() -> None:
    current = alert()
    assert take(current, step(Act.ACKNOWLEDGE, etag=current.etag), NOW).state is State.ACKNOWLEDGED


@pytest.mark.parametrize("assessment", [Assessment.TRUE, Assessment.CANNOT_TELL])
def test_what_was_verified_keeps_its_assessment(assessment: Assessment) -> None:
    verified = take(alert(State.ACKNOWLEDGED), step(Act.VERIFY, assessment=assessment), NOW)
    assert take(verified, step(Act.DISPATCH), NOW).assessment is assessment


def test_a_false_alert_is_not_dispatched() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        take(alert(State.VERIFIED, assessment=Assessment.FALSE), step(Act.DISPATCH), NOW)
    assert caught.value.reason == "ALERT_ASSESSED_FALSE"


def test_an_authority_is_told_once() -> None:
    sent = take(alert(State.ACKNOWLEDGED), step(Act.DISPATCH), NOW)
    with pytest.raises(FailedPrecondition) as caught:
        take(sent, step(Act.DISPATCH), NOW)
    assert caught.value.reason == "ALERT_ALREADY_DISPATCHED"
    again = take(sent, step(Act.DISPATCH, recipient="authorities/carabinieri"), NOW)
    assert again.recipients == ("authorities/questura", "authorities/carabinieri")


@pytest.mark.parametrize(
    ("actor", "sees"),
    [
        ("operator/rossi", True),
        ("administrator/bianchi", True),
        ("authority/questura", True),
        ("authority/carabinieri", False),
        ("authority/quest", False),
    ],
)
def test_who_sees_an_alert_that_was_sent_to_the_questura(actor: str, sees: bool) -> None:  # noqa: FBT001
    assert Audience(actor).sees(alert(State.DISPATCHED, recipients=("authorities/questura",))) is sees


def test_nobody_outside_sees_an_alert_that_was_sent_to_nobody() -> None:
    assert not Audience("authority/questura").sees(alert(State.VERIFIED))


def test_an_authority_reads_neither_notes_nor_other_recipients() -> None:
    current = alert(State.RAISED)
    for act, recipient in ((Act.ACKNOWLEDGE, ""), (Act.DISPATCH, "authorities/a"), (Act.DISPATCH, "authorities/b")):
        current = take(current, step(act, recipient=recipient), NOW)

    view = Audience("authority/b").view(current)
    assert view.recipients == ("authorities/b",)
    assert {one.state for one in view.transitions} == {State.DISPATCHED}
    assert Audience("operator/rossi").view(current) == current


@given(st.lists(st.tuples(st.sampled_from(Act), st.sampled_from(["rossi", "bianchi"])), max_size=12))
def test_a_raised_or_shelved_alert_is_nobodys_and_time_acts_on_no_other(acts: list[tuple[Act, str]]) -> None:
    current = alert(due_time=NOW)
    for act, name in acts:
        actor = f"operator/{name}"
        with contextlib.suppress(FailedPrecondition):
            current = take(current, step(act, actor=actor, owner=actor, recipient=f"authorities/{name}", due=NOW), NOW)
        waits = current.state in (State.RAISED, State.SHELVED)
        folded = any(one.act is Act.FOLD for one in current.transitions)

        assert (current.owner == "") is (waits or folded)
        assert waits or current.due_time is None


def test_an_alert_is_handed_over_by_its_owner_taken_over_by_anybody_and_moved_by_a_supervisor() -> None:
    mine = take(alert(), step(Act.ACKNOWLEDGE), NOW)
    given_away = take(mine, step(Act.HAND_OVER, owner="operator/bianchi"), NOW)
    taken_over = take(mine, step(Act.HAND_OVER, actor="operator/verdi", owner="operator/verdi"), NOW)
    moved = take(mine, step(Act.HAND_OVER, actor="supervisor/neri", owner="operator/bianchi"), NOW)
    with pytest.raises(FailedPrecondition) as caught:
        take(mine, step(Act.HAND_OVER, actor="operator/verdi", owner="operator/bianchi"), NOW)

    assert [one.owner for one in (given_away, taken_over, moved)] == [
        "operator/bianchi", "operator/verdi", "operator/bianchi",
    ]  # fmt: skip
    assert caught.value.reason == "ALERT_OF_SOMEBODY_ELSE"


def test_what_comes_off_the_shelf_is_raised_anew_with_all_its_time() -> None:
    owned = take(alert(escalations=2), step(Act.ACKNOWLEDGE), NOW)
    shelved = take(owned, step(Act.SHELVE, due=NOW + timedelta(hours=1)), NOW)
    back = take(shelved, step(Act.UNSHELVE, due=NOW + timedelta(hours=2)), NOW)

    assert (shelved.owner, shelved.shelved_until) == ("", NOW + timedelta(hours=1))
    assert shelved.transitions[-1].object == "2026-11-22T13:00:00+00:00"
    assert (back.state, back.escalations, back.due_time) == (State.RAISED, 0, NOW + timedelta(hours=2))
    assert back.shelved_until is None
