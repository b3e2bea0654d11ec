"""When faults happen, on the camera's clock and on the client's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.local.camera.faults import FaultKind, Faults, Moment, Schedule, Trigger
from mesh.local.camera.script import parse_script

DURATIONS = st.sampled_from([1, 3, math.inf])
SCHEDULES = st.one_of(
    st.just(Schedule()),
    st.builds(
        Schedule, st.sampled_from([Trigger.AT, Trigger.AFTER]), st.integers(0, 9), st.sampled_from([1, 3, math.inf])
    ),
    st.integers(1, 9).flatmap(
        lambda period: st.builds(Schedule, st.just(Trigger.EVERY), st.just(period), st.integers(1, period))
    ),
)


@pytest.mark.parametrize(
    ("line", "active"),
    [
        ("black", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("at 3 black", [3, 4, 5, 6, 7, 8, 9]),
        ("at 3 for 2 black", [3, 4]),
        ("after 3 for 2 black", [5, 6]),
        ("every 4 for 1 black", [4, 8]),
        ("every 3 for 3 black", [3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_lasting_fault_is_there_when_it_should(line: str, active: list[int]) -> None:
    faults = parse_script(line)

    def moment(second: int) -> Moment:
        return Moment(second, second - 2 if second >= 2 else None)

    assert [second for second in range(10) if faults.active(FaultKind.BLACK, moment(second))] == active


@given(SCHEDULES, st.integers(0, 40))
def test_active_seconds_are_the_sum_of_the_active_moments(schedule: Schedule, end: int) -> None:
    parts = 4
    active = sum(schedule.is_active(Moment(step / parts, step / parts)) for step in range(end * parts))

    assert schedule.active_seconds(Moment(end, end)) == pytest.approx(active / parts)


@given(SCHEDULES, st.floats(0, 40))
def test_next_occurrence_is_the_one_that_is_counted(schedule: Schedule, now: float) -> None:
    wait = schedule.seconds_until_next(Moment(now, now))
    before = schedule.occurrences(Moment(now, now))
    if wait is None:
        assert schedule.occurrences(Moment(now + 1000, now + 1000)) == before
    else:
        just_after = now + wait + 1e-6
        assert wait > 0
        assert schedule.occurrences(Moment(just_after, just_after)) == before + 1


def test_before_play_the_clients_clock_does_not_run() -> None:
    faults = parse_script("after 0 black; after 0 clock-jump; after 0 reset")
    moment = Moment(100.0)

    assert faults.active(FaultKind.BLACK, moment) is None
    assert faults.clock_error(moment) == 0.0
    assert faults.seconds_until_cut({FaultKind.RESET}, moment) is None


def test_clock_errors_add_up_and_stay() -> None:
    faults = parse_script("at 10 for 20 clock-drift rate=0.1; at 5 clock-jump seconds=3; every 20 clock-jump seconds=1")

    assert [faults.clock_error(Moment(second)) for second in (0, 5, 20, 100)] == pytest.approx(
        [0, 3, 3 + 1 + 1, 3 + 2 + 5]
    )


def test_faults_of_a_device_and_of_an_optic() -> None:
    faults = parse_script("black; device 2 freeze; optic 3 fog; device 2 optic 1 blur; device 2 offline")

    def names(some: Faults) -> list[str]:
        return [fault.kind.value for fault in some.all]

    assert names(faults.of(device=1, optic=1)) == ["black"]
    assert names(faults.of(device=2, optic=1)) == ["black", "freeze", "blur", "offline"]
    assert names(faults.of(device=1)) == ["black", "fog"]


def test_the_later_of_two_faults_wins() -> None:
    faults = parse_script("loss rate=0.1; at 5 loss rate=0.9")
    rates = [fault.numbers["rate"] for second in (0, 6) if (fault := faults.active(FaultKind.LOSS, Moment(second)))]

    assert rates == [0.1, 0.9]
