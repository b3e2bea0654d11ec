"""Fault scripts: what they say, and what is said of a bad one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.local.camera.faults import RULES, Fault, FaultKind, Schedule, Trigger
from mesh.local.camera.script import ScriptError, parse_script


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("unauthorized", Fault(FaultKind.UNAUTHORIZED)),
        ("at 10 for 5.5s freeze", Fault(FaultKind.FREEZE, Schedule(Trigger.AT, 10.0, 5.5))),
        ("after .5 reset", Fault(FaultKind.RESET, Schedule(Trigger.AFTER, 0.5))),
        ("reset-after 3", Fault(FaultKind.RESET, Schedule(Trigger.AFTER, 3.0))),
        ("resize-after=0.5", Fault(FaultKind.RESIZE, Schedule(Trigger.AFTER, 0.5))),
        ("every 30s for 2 offline", Fault(FaultKind.OFFLINE, Schedule(Trigger.EVERY, 30.0, 2.0))),
        ("loss", Fault(FaultKind.LOSS, numbers={"rate": 0.05})),
        ("optic 2 loss rate=0.2", Fault(FaultKind.LOSS, numbers={"rate": 0.2}, optic=2)),
        ("device 3 optic 1 black", Fault(FaultKind.BLACK, device=3, optic=1)),
        ("at 5 clock-jump seconds=-60", Fault(FaultKind.CLOCK_JUMP, Schedule(Trigger.AT, 5.0), {"seconds": -60.0})),
        ("redirect to=rtsp://a/b?c=d", Fault(FaultKind.REDIRECT, target="rtsp://a/b?c=d")),
    ],
)
def test_line_is_read(line: str, fault: Fault) -> None:
    assert parse_script(line).all == (fault,)


def test_lines_comments_and_semicolons() -> None:
    script = parse_script("# a bad day\n\nblack # until the end\nfreeze; garbage\n")

    assert [fault.kind for fault in script.all] == [FaultKind.BLACK, FaultKind.FREEZE, FaultKind.GARBAGE]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("melt", "unknown fault 'melt'; known: "),
        ("at 5", "no fault is named"),
        ("at", "'at' needs a number"),
        ("at x black", "at 'x' is no number of seconds"),
        ("at -1 black", "at '-1' is no number of seconds"),
        ("at 1e9 black", "no number of seconds"),
        ("at 1 after 2 black", "only one of 'at', 'after' and 'every'"),
        ("at 1 for 2 for 3 black", "'for' is said twice"),
        ("at 1 for 0 black", "'for' needs more than 0 seconds"),
        ("every 0 for 1 black", "'every' needs more than 0 seconds"),
        ("for 2 black", "'for' needs an 'at', 'after' or 'every'"),
        ("every 5 black", "lasts: 'every' needs a 'for'"),
        ("every 5 for 6 black", "'for' is longer than 'every'"),
        ("reset", "happens at an instant: say"),
        ("at 1 for 2 reset", "cannot last 'for' a time"),
        ("after 1 unauthorized", "'after' counts from PLAY"),
        ("optic 0 black", "optic '0' is no number from 1"),
        ("optic 1 optic 2 black", "'optic' is said twice"),
        ("optic 1 offline", "befalls a whole device"),
        ("black rate=1", "no setting 'rate=1'; its settings: none"),
        ("loss 0.5", "no setting '0.5'; its settings: rate"),
        ("loss rate=x", "rate=x is no number"),
        ("loss rate=nan", "rate=nan is not between 0 and 1"),
        ("loss rate=1.5", "rate=1.5 is not between 0 and 1"),
        ("redirect", "needs to=URL"),
        ("reset-after", "needs a number of seconds, as in 'reset-after 3'"),
        ("reset-after x", "no number of seconds"),
        ("garbage-after 1 2", "no setting '2'"),
    ],
)
def test_bad_line_is_named_by_its_number(line: str, problem: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(f"# comment\nblack\n{line}")

    assert str(caught.value).startswith("line 3: ")
    assert problem in str(caught.value)


def test_all_bad_lines_are_named_at_once() -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script("melt\nblack\nat 5; reset")

    assert [problem.split(":")[0] for problem in str(caught.value).splitlines()] == ["line 1", "line 3", "line 3"]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        script = parse_script(text)
    except ScriptError:
        return
    assert all(fault.numbers.keys() == RULES[fault.kind].numbers.keys() for fault in script.all)


def test_every_kind_has_a_rule() -> None:
    assert RULES.keys() == set(FaultKind)
    assert all(
        limits.lowest <= limits.default <= limits.highest for rule in RULES.values() for limits in rule.numbers.values()
    )
    assert math.isinf(parse_script("black").all[0].schedule.duration)
