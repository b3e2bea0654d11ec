"""Whose an alarm's clip is, and what the ledger makes of recordings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.domain.alerts import Alert, State
from alerting.domain.clips import AFTER, BEFORE, clip_of
from alerting.domain.coverage import (
    NOT_RECEIVED,
    NOT_RECORDED,
    Gap,
    OpticCoverage,
    Seconds,
    Step,
    with_recordings,
)
from mesh.errors import FailedPrecondition, PermissionDenied
from tests.unit.alerting.test_alerts import alert as some_alert

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def alert(**fields: object) -> Alert:
    return replace(some_alert(), capture_time=NOON, **fields)  # type: ignore[arg-type]  # fields of an alert


@pytest.mark.parametrize(
    ("owner", "person"),
    [("", "operator/rossi"), ("operator/rossi", "operator/rossi"), ("operator/rossi", "supervisor/bianchi")],
)
@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_an_open_alarm_shows_its_seconds_to_who_handles_it(owner: str, person: str, state: State) -> None:
    span = clip_of(alert(owner=owner, state=state), person, NOON + MINUTE)

    assert span == (NOON - BEFORE, NOON + AFTER)


def test_the_clip_ends_now_at_the_latest() -> None:
    assert clip_of(alert(), "operator/rossi", at(3)) == (NOON - BEFORE, at(3))
    # A camera's clock that is ahead still gives an interval.
    start, end = clip_of(alert(), "operator/rossi", at(-60))
    assert start < end


def test_somebody_elses_alarm_and_one_that_is_over_show_nothing() -> None:
    with pytest.raises(PermissionDenied) as of_another:
        clip_of(alert(owner="operator/verdi"), "operator/rossi", NOON)
    with pytest.raises(FailedPrecondition) as over:
        clip_of(alert(state=State.CLOSED, owner="operator/rossi"), "operator/rossi", NOON)

    assert (of_another.value.reason, over.value.reason) == ("ALERT_OF_SOMEBODY_ELSE", "ALERT_CLOSED")


@pytest.mark.parametrize(
    ("recorded", "seconds", "gaps"),
    [
        ([], 0, [(0, 60)]),
        ([(-10, 70)], 60, []),
        ([(0, 20), (30, 60)], 50, [(20, 30)]),
        ([(10, 20), (15, 40)], 30, [(0, 10), (40, 60)]),
        ([(-20, -10), (70, 80)], 0, [(0, 60)]),
    ],
)
def test_what_is_not_recorded_is_a_gap(
    recorded: list[tuple[int, int]], seconds: int, gaps: list[tuple[int, int]]
) -> None:
    stalled = Gap(at(5), timedelta(seconds=1), NOT_RECEIVED, "STALLED")
    told = with_recordings(
        OpticCoverage("devices/a/optics/b", gaps=(stalled,)),
        [(at(start), at(end)) for start, end in recorded],
        (NOON, NOON + MINUTE),
        NOON + timedelta(hours=1),
        None,
    )

    found = [gap for gap in told.gaps if gap.kind == NOT_RECORDED]
    assert told.recorded == seconds
    assert [(gap.start_time, gap.start_time + gap.duration) for gap in found] == [(at(a), at(b)) for a, b in gaps]
    assert stalled in told.gaps
    assert list(told.gaps) == sorted(told.gaps, key=lambda gap: gap.start_time)


def test_what_may_be_on_its_way_is_no_gap_and_steps_have_their_seconds() -> None:
    steps = tuple(Step(NOON + number * MINUTE, Seconds()) for number in range(2))
    told = with_recordings(
        OpticCoverage("devices/a/optics/b", steps=steps),
        [(at(30), at(90))],
        (NOON, NOON + 2 * MINUTE),
        at(100),
        MINUTE,
    )

    assert [(gap.start_time, gap.duration.total_seconds()) for gap in told.gaps] == [(NOON, 30), (at(90), 10)]
    assert [step.recorded for step in told.steps] == [30, 30]
    assert not told.is_blind
