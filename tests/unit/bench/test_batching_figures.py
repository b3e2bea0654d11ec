from __future__ import annotations

from bench.batching import Tally, _judge

STEADY = [400 * 2**20] * 40


def optics(*analysed: int, sent: int = 100, wait: float = 0.1) -> list[Tally]:
    return [Tally(sent, sent, [wait] * count) for count in analysed]


def test_fair_answered_in_time_and_flat_holds() -> None:
    assert [result.holds for result in _judge(optics(50, 48, 46), STEADY)] == [True] * 4


def test_one_optic_that_starves_is_not_fair() -> None:
    assert _judge(optics(50, 48, 40), STEADY)[0].holds is False


def test_a_frame_without_an_answer_is_said() -> None:
    tallies = optics(50, 50)
    tallies[0].answered -= 1

    assert _judge(tallies, STEADY)[1].holds is False


def test_verdicts_behind_the_budget_are_said() -> None:
    assert _judge(optics(50, 50, wait=0.6), STEADY)[2].holds is False


def test_memory_that_grows_is_said() -> None:
    growing = [size + second * 2**21 for second, size in enumerate(STEADY)]

    assert _judge(optics(50, 50), growing)[3].holds is False


def test_a_detector_that_analysed_nothing_fails() -> None:
    assert [result.holds for result in _judge(optics(0, 0), STEADY)][2] is False
