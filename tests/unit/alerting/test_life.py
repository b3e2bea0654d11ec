"""Escalation, shelving and shifts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.domain.alerts import ALERTING, Act, Alert, Priority, State, Step, take
from alerting.domain.escalation import due_step, escalation, scheduled
from alerting.domain.shelving import Shelving, covering
from alerting.domain.shifts import Shift, check_close, on_duty, operators
from mesh.errors import FailedPrecondition, InvalidArgument
from tests.unit.alerting.test_alerts import alert

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PATIENCE = {
    Priority.HIGH: timedelta(minutes=1),
    Priority.MEDIUM: timedelta(minutes=3),
    Priority.LOW: timedelta(hours=1),
}
LONGEST = timedelta(hours=8)
WATCH_LIST = ("operator/bianchi", "supervisor/neri")


def shift(name: str, *members: str, opened: timedelta = timedelta(0)) -> Shift:
    return Shift(name, members, (), NOW + opened)


def test_nobody_answers_so_one_after_the_other_is_called_and_then_nobody_is_left() -> None:
    current, called, now = alert(due_time=NOW), [], NOW
    while (step := due_step(current, WATCH_LIST, now, PATIENCE)) is not None:
        current = take(current, step, now)
        called.append(step.owner)
        now += PATIENCE[current.priority]

    assert called == [*WATCH_LIST, ""]
    assert current.state is State.RAISED
    assert [one.act for one in current.transitions] == [Act.ESCALATE] * 3
    assert [one.time for one in current.transitions] == [NOW, NOW + timedelta(minutes=3), NOW + timedelta(minutes=6)]
    assert "nobody is left" in current.transitions[-1].reason


def test_without_a_shift_it_says_so() -> None:
    assert escalation(alert(), (), NOW, PATIENCE).reason.endswith("no shift is open")


@pytest.mark.parametrize("state", list(State))
def test_time_acts_only_on_what_is_raised_or_shelved_and_only_when_it_is_due(state: State) -> None:
    due = alert(state, due_time=NOW)
    early = due_step(due, WATCH_LIST, NOW - timedelta(microseconds=1), PATIENCE)
    step = due_step(due, WATCH_LIST, NOW, PATIENCE)

    assert early is None
    assert (step.act if step else None) == {State.RAISED: Act.ESCALATE, State.SHELVED: Act.UNSHELVE}.get(state)
    assert step is None or step.actor == ALERTING


@pytest.mark.parametrize("hours", [0, -1, 8.001])
def test_nothing_is_shelved_for_no_time_or_for_too_long(hours: float) -> None:
    step = Step(Act.SHELVE, "operator/rossi", "works", duration=timedelta(hours=hours))
    with pytest.raises(InvalidArgument) as caught:
        scheduled(step, alert(), NOW, PATIENCE, LONGEST)
    assert caught.value.metadata == {"field": "duration"}


def test_a_persons_step_gets_the_time_at_which_time_acts() -> None:
    shelve = Step(Act.SHELVE, "operator/rossi", "works", duration=LONGEST)
    unshelve = Step(Act.UNSHELVE, "operator/rossi", "done")
    assert scheduled(shelve, alert(), NOW, PATIENCE, LONGEST).due == NOW + LONGEST
    assert scheduled(unshelve, alert(), NOW, PATIENCE, LONGEST).due == NOW + timedelta(minutes=3)


def shelving(scope: str, minutes: float = 10) -> Shelving:
    return Shelving(scope, scope, NOW + timedelta(minutes=minutes), "operator/rossi", "works", NOW)


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        ("devices/d/optics/o", True),
        ("devices/d/optics/o/rules/r", True),
        ("devices/d/optics/o/zones/z", True),
        ("devices/d/optics/o2", False),
        ("devices/d/optics/o/rules/r2", False),
    ],
)
def test_a_shelving_covers_its_optic_rule_or_place(scope: str, covers: bool) -> None:  # noqa: FBT001
    assert shelving(scope).covers(alert()) is covers
    # What others have seen too is not silenced by one of them.
    assert not shelving(scope).covers(alert(other_optics=("devices/d/optics/o3",)))


def test_of_several_shelvings_the_longest_one_in_force_counts() -> None:
    short, long = shelving("devices/d/optics/o"), shelving("devices/d/optics/o/rules/r", 20)
    over = shelving("devices/d/optics/o/zones/z", 0)
    assert covering([short, over, long], alert(), NOW) == long
    assert covering([over], alert(), NOW) is None


def test_the_newest_shift_is_on_duty() -> None:
    old, new = shift("old", "operator/rossi"), shift("new", "operator/a", "operator/b", opened=timedelta(hours=8))
    assert on_duty([old, new]) == new
    assert (operators([old, new]), operators([old]), operators([])) == (2, 1, 1)
    assert new.watch_list == new.members
    assert replace(new, called=WATCH_LIST).watch_list == WATCH_LIST


def owned(state: State, owner: str) -> Alert:
    return alert(state, owner=owner)


@pytest.mark.parametrize(
    ("alerts", "reason"),
    [
        ([alert(State.RAISED)], "SHIFT_ALERTS_UNOWNED"),
        ([owned(State.ACKNOWLEDGED, "operator/rossi")], "SHIFT_ALERTS_OWNED"),
        ([owned(State.DISPATCHED, "operator/rossi")], "SHIFT_ALERTS_OWNED"),
        ([owned(State.DISPATCHED, "operator/stays")], None),
        ([owned(State.VERIFIED, "operator/bianchi"), alert(State.SHELVED)], None),
        ([], None),
    ],
)
def test_a_shift_leaves_nothing_behind(alerts: list[Alert], reason: str | None) -> None:
    leaving = shift("leaving", "operator/rossi", "operator/stays")
    staying = shift("staying", "operator/bianchi", "operator/stays")
    if reason is None:
        check_close(leaving, [staying], alerts)
        return
    with pytest.raises(FailedPrecondition) as caught:
        check_close(leaving, [staying], alerts)
    assert caught.value.reason == reason
    assert caught.value.metadata["alerts"] == "alerts/a-1"


def test_a_closed_shift_is_not_closed_again() -> None:
    with pytest.raises(FailedPrecondition) as caught:
        check_close(replace(shift("s"), close_time=NOW), [], [])
    assert caught.value.reason == "SHIFT_CLOSED"
