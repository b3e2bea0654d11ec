from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.rules import episode
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, TRANSITIONS, Episode, Phase, Sign

HOLDS, NEARLY, OVER = "+", "~", "-"


def told(subject: Episode, answers: str, *, step: float = 0.5, begin: float = 0.0) -> list[float]:
    """When an episode is told, in seconds after `begin`, by one answer a frame."""
    found = []
    for number, answer in enumerate(answers):
        time = begin + number * step
        if subject.step(time, holds=answer == HOLDS, over=answer == OVER):
            found.append(time - begin)
    return found


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(itertools.product(Phase, Sign))


def test_it_is_told_when_it_was_held_for_long_enough_and_at_no_other_moment() -> None:
    assert {key for key, (_, tells) in TRANSITIONS.items() if tells} == {
        (Phase.QUIET, Sign.HELD),
        (Phase.RISING, Sign.HELD),
    }
    assert all((after is Phase.REPORTED) for after, tells in TRANSITIONS.values() if tells)


def test_only_what_is_true_begins_an_episode_and_only_what_is_clearly_false_ends_a_told_one() -> None:
    begins = {sign for sign in Sign if TRANSITIONS[Phase.QUIET, sign][0] is not Phase.QUIET}
    ends = {sign for sign in Sign if TRANSITIONS[Phase.REPORTED, sign][0] is not Phase.REPORTED}
    drops = {sign for sign in Sign if TRANSITIONS[Phase.RISING, sign][0] is Phase.QUIET}

    assert begins == {Sign.ABOVE, Sign.HELD}
    assert ends == {Sign.BELOW}
    assert drops == {Sign.LAPSED, Sign.BELOW}


@pytest.mark.parametrize(
    ("answers", "moments"),
    [
        ("", []),
        ("+++++", [2.0]),
        ("++++", []),
        ("++++++++++++", [2.0]),
        ("----+++++", [4.0]),
        # One bad frame, clear or not, does not break what rises.
        ("++-++", [2.0]),
        ("++~++", [2.0]),
        # A second of it does.
        ("++---+++", []),
        ("++---+++++", [4.5]),
        # Nearly true is not true: it does not carry a single true frame over the whole time.
        ("+~~~~~~~~+", []),
        ("~~~~~~~~~~", []),
        # What was told is not told again until it was clearly false for a second.
        ("+++++~~~~~+++++", [2.0]),
        ("+++++--+++++", [2.0]),
        ("+++++---+++++", [2.0, 6.0]),
        ("+++++-~-~-~-+++++", [2.0]),
    ],
)
def test_an_episode_is_told_once(answers: str, moments: list[float]) -> None:
    assert told(Episode(2.0), answers) == moments


def test_the_start_is_when_it_began_to_hold() -> None:
    subject = Episode(2.0)
    told(subject, "--~-+-+++", begin=100.0)

    assert subject.phase is Phase.REPORTED
    assert subject.since == 102.0


def test_a_new_episode_has_a_new_start() -> None:
    subject = Episode(1.0)
    told(subject, "+++---+++")

    assert subject.since == 3.0


def test_without_a_duration_the_first_frame_tells_it() -> None:
    assert told(Episode(0.0), "+++") == [0.0]


def test_without_a_release_the_first_clear_frame_ends_it() -> None:
    assert told(Episode(0.0, release=0.0), "+-+~+") == [0.0, 1.0]


def test_one_clear_frame_after_a_pause_does_not_end_an_episode() -> None:
    subject = Episode(0.0)
    told(subject, "+")

    # A frame every two seconds: what lies between the first two was like the first.
    phases = []
    for time in (2.0, 4.0):
        subject.step(time, holds=False, over=True)
        phases.append(subject.phase)
    assert phases == [Phase.REPORTED, Phase.QUIET]


def test_a_gap_counts_as_the_last_answer_but_a_long_one_only_in_part() -> None:
    short, long = Episode(12.0), Episode(12.5)
    for subject in (short, long):
        told(subject, "+++++")

    assert short.step(2.0 + LONGEST_GAP_SECONDS, holds=True, over=False)
    assert not long.step(600.0, holds=True, over=False)
    assert long.since == 0.0
    assert long.step(600.5, holds=True, over=False)


def test_a_clock_that_is_set_back_neither_hangs_nor_hastens_it() -> None:
    subject = Episode(2.0)
    told(subject, "+++", begin=3600.0)

    assert told(subject, "++++", begin=0.0) == [1.0]
    assert subject.since == 0.0
    # Nor does a told one hang until the old time has come again.
    told(subject, "---", begin=-500.0)
    assert told(subject, "+++++", begin=-400.0) == [2.0]


def test_a_reset_forgets_it() -> None:
    subject = Episode(1.0)
    told(subject, "++++")
    subject.reset()

    assert subject.phase is Phase.QUIET
    assert told(subject, "++", begin=3.0) == []
    assert told(subject, "+", begin=4.0) == [0.0]


answers = st.text(alphabet=HOLDS + NEARLY + OVER, max_size=80)


@given(answers, st.floats(0.0, 5.0), st.floats(0.0, 3.0))
def test_between_two_tellings_it_was_clearly_false(sequence: str, duration: float, release: float) -> None:
    moments = told(Episode(duration, release), sequence)

    for first, second in itertools.pairwise(moments):
        between = sequence[int(first / 0.5) + 1 : int(second / 0.5) + 1]
        assert OVER in between
        assert second - first >= duration


@given(answers, st.floats(0.1, 5.0))
def test_whatever_is_told_was_true_at_its_start_and_at_the_telling(sequence: str, duration: float) -> None:
    subject = Episode(duration)
    for number, answer in enumerate(sequence):
        if subject.step(number * 0.5, holds=answer == HOLDS, over=answer == OVER):
            assert answer == HOLDS
            assert sequence[int(subject.since / 0.5)] == HOLDS
            assert number * 0.5 - subject.since >= duration - episode._ROUNDING_SECONDS
