from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.board import Place, Refusal, Session, SessionState, Shares, board, shares
from alerting.domain.coverage import Gap, OpticCoverage, Seconds, merge_gaps

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def gap(start: float, length: float, kind: int = 1, reason: str = "STALLED") -> Gap:
    return Gap(NOW + timedelta(seconds=start), timedelta(seconds=length), kind, reason)


def test_a_gap_that_goes_on_in_the_next_report_is_one_gap() -> None:
    assert merge_gaps([gap(10, 10), gap(0, 10), gap(20.9, 5)]) == (gap(0, 25.9),)


def test_gaps_apart_or_of_another_kind_or_reason_stay_apart() -> None:
    gaps = (gap(0, 5), gap(1, 5, kind=2), gap(2, 5, reason="OVERLOAD"), gap(20, 5))
    assert merge_gaps(gaps) == gaps


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), max_size=12))
def test_merged_gaps_cover_the_same_time_and_do_not_touch(spans: list[tuple[int, int]]) -> None:
    merged = merge_gaps(gap(start, length) for start, length in spans)

    for before, after in itertools.pairwise(merged):
        assert before.start_time + before.duration + timedelta(seconds=1) < after.start_time
    for start, length in spans:
        begin, end = NOW + timedelta(seconds=start), NOW + timedelta(seconds=start + length)
        assert any(one.start_time <= begin and end <= one.start_time + one.duration for one in merged)


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        (None, Shares(0, 0, 0, 1)),
        (OpticCoverage("o"), Shares(0, 0, 0, 1)),
        (OpticCoverage("o", Seconds(300, 300, 300, 0, 300)), Shares(1, 0, 0, 0)),
        (OpticCoverage("o", Seconds(150, 75, 150, 75, 225)), Shares(0.25, 0.25, 0.25, 0.25)),
        # Reports that reach over the window's edge do not make more than the whole.
        (OpticCoverage("o", Seconds(310, 310, 310, 0, 310)), Shares(1, 0, 0, 0)),
    ],
)
def test_time_is_divided_by_what_is_known_of_it(coverage: OpticCoverage | None, expected: Shares) -> None:
    assert shares(coverage, WINDOW) == expected


@given(*[st.floats(0, 400)] * 5)
def test_shares_are_the_whole_whatever_is_reported(
    received: float, analysed: float, masked: float, lost: float, elapsed: float
) -> None:
    parts = shares(OpticCoverage("o", Seconds(received, analysed, masked, lost, elapsed)), WINDOW)

    assert min(parts.analysed, parts.received, parts.lost, parts.unknown) >= -1e-9
    assert parts.analysed + parts.received + parts.lost + parts.unknown == pytest.approx(1)


def test_the_board_shows_optics_nobody_speaks_of_and_optics_nobody_registered() -> None:
    session = Session("devices/new/optics/a", SessionState.STREAMING, "", "", NOW, 2, 0)
    rows = board([Place("devices/old/optics/a", "Old", "Site")], {session.optic: session}, [], WINDOW)

    assert [(row.place.label, row.session) for row in rows] == [("new, a", session), ("Old", None)]
    assert {row.shares for row in rows} == {Shares(0, 0, 0, 1)}


@pytest.mark.parametrize(
    ("refusals", "said", "state"),
    [
        ((), None, SessionState.UNKNOWN),
        ((Refusal("SITE_MISSING", "set its site"),), None, SessionState.REFUSED),
        # The gateway is nearer to the pictures: while it streams, that is what is shown, beside the reasons.
        ((Refusal("SITE_MISSING", "set its site"),), SessionState.STREAMING, SessionState.STREAMING),
        ((), SessionState.REFUSED, SessionState.REFUSED),
    ],
)
def test_an_optic_that_no_gateway_may_have_is_refused_and_not_unknown(
    refusals: tuple[Refusal, ...], said: SessionState | None, state: SessionState
) -> None:
    place = Place("devices/a/optics/a", "A", "Site", refusals)
    sessions = {} if said is None else {place.optic: Session(place.optic, said, "", "", NOW, 0, 0)}

    (row,) = board([place], sessions, [], WINDOW)

    assert row.state is state
    assert row.place.refusals == refusals
