from __future__ import annotations

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
    State.RAISED: {Act.ACKNOWLEDGE: State.ACKNOWLEDGED},
    State.ACKNOWLEDGED: {
        Act.VERIFY: State.VERIFIED,
        Act.DISPATCH: State.DISPATCHED,
        Act.CLOSE: State.CLOSED,
    },
    State.VERIFIED: {Act.DISPATCH: State.DISPATCHED, Act.CLOSE: State.CLOSED},
    State.DISPATCHED: {Act.DISPATCH: State.DISPATCHED, Act.CLOSE: State.CLOSED},
    State.CLOSED: {},
    State.SHELVED: {},
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
    base = Step(act, "operator/rossi", "because", recipient=recipient, assessment=assessment)
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
        assert after.transitions[-1] == Transition(expected, "operator/rossi", later, "because")


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
    assert len(current.recipients) == sum(one.state is State.DISPATCHED for one in current.transitions)


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
