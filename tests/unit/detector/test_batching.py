from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.batching import BatchingParameters, BatchQueue, ExpectedTime


def queue(*live: str, files: tuple[str, ...] = (), **parameters: Any) -> BatchQueue[tuple[str, int]]:
    made: BatchQueue[tuple[str, int]] = BatchQueue(BatchingParameters(**parameters))
    for key in live:
        made.open(key, every_frame=False)
    for key in files:
        made.open(key, every_frame=True)
    return made


def test_the_newest_frame_of_a_live_optic_wins() -> None:
    subject = queue("a")
    dropped = [subject.offer("a", ("a", number), shape=0, now=0.0) for number in range(3)]

    assert dropped == [[], [("a", 0)], [("a", 1)]]
    assert subject.take(0.0) == [("a", 2)]
    assert subject.take(0.0) == []


def test_every_frame_of_a_file_is_taken_in_order_and_a_full_queue_refuses() -> None:
    subject = queue(files=("f",), most_waiting=2)
    for number in range(2):
        assert subject.offer("f", ("f", number), shape=0, now=0.0) == []
    assert not subject.has_room("f")
    with pytest.raises(ValueError, match="as many frames waiting"):
        subject.offer("f", ("f", 2), shape=0, now=0.0)

    assert [subject.take(9.0), subject.take(9.0)] == [[("f", 0)], [("f", 1)]]


def test_a_live_frame_expires_and_a_frame_of_a_file_does_not() -> None:
    subject = queue("a", files=("f",), budget_seconds=0.5)
    subject.offer("a", ("a", 0), shape=0, now=0.0)
    subject.offer("f", ("f", 0), shape=0, now=0.0)

    assert subject.expire(0.5) == []
    assert subject.expire(0.6) == [("a", 0)]
    assert subject.expire(9.0) == []
    assert len(subject) == 1


def test_a_batch_waits_to_be_filled_but_no_longer_than_it_may() -> None:
    subject = queue("a", "b", most_frames=2, fill_seconds=0.01)
    subject.offer("a", ("a", 0), shape=0, now=1.0)

    assert subject.take(1.005) == []
    assert subject.next_change() == pytest.approx(1.01)
    assert subject.take(1.02) == [("a", 0)]
    assert subject.next_change() is None
    subject.offer("a", ("a", 1), shape=0, now=2.0)
    subject.offer("b", ("b", 1), shape=0, now=2.0)
    assert len(subject.take(2.0)) == 2


def test_a_batch_with_room_is_left_to_fill_when_only_a_full_one_will_do() -> None:
    subject = queue("a", "b", most_frames=2)
    subject.offer("a", ("a", 0), shape=0, now=0.0)

    assert subject.take(9.0, only_full=True) == []
    subject.offer("b", ("b", 0), shape=0, now=9.0)
    assert subject.take(9.0, only_full=True) == [("a", 0), ("b", 0)]


def test_a_batch_holds_frames_of_one_shape() -> None:
    subject = queue("a", "b", "c", most_frames=4)
    for key, shape in (("a", 1), ("b", 2), ("c", 1)):
        subject.offer(key, (key, 0), shape=shape, now=0.0)

    assert subject.take(1.0) == [("a", 0), ("c", 0)]
    assert subject.take(1.0) == [("b", 0)]


def test_what_waits_when_a_stream_closes_is_given_back() -> None:
    subject = queue(files=("f",))
    for number in range(3):
        subject.offer("f", ("f", number), shape=0, now=0.0)

    assert subject.close("f") == [("f", 0), ("f", 1), ("f", 2)]
    assert subject.take(1.0) == []


def test_a_file_does_not_starve_a_live_optic() -> None:
    subject = queue("a", files=("f",), most_waiting=100)
    served: list[str] = []
    for number in range(50):
        while subject.has_room("f"):
            subject.offer("f", ("f", number), shape=0, now=float(number))
        subject.offer("a", ("a", number), shape=0, now=float(number))
        served += [key for key, _ in subject.take(float(number))]

    assert abs(served.count("a") - served.count("f")) <= 1


@given(st.permutations(["a", "b", "c", "d", "e"]), st.integers(1, 4))
def test_whatever_the_order_of_arrival_every_optic_is_served_equally(order: list[str], most: int) -> None:
    subject = queue(*"abcde", most_frames=most)
    served: Counter[str] = Counter()
    for number in range(60):
        # All offer at every step and the model keeps up with a part of them.
        for key in order:
            subject.offer(key, (key, number), shape=0, now=float(number))
        served.update(key for key, _ in subject.take(float(number)))

    assert max(served.values()) - min(served.values()) <= 1
    assert len(served) == 5


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1)), max_size=120),
    st.integers(1, 3),
)
def test_each_frame_has_exactly_one_end(offers: list[tuple[str, int]], most: int) -> None:
    subject = queue(*"abc", files=tuple("def"), most_frames=most, budget_seconds=3.0, most_waiting=4)
    numbers = itertools.count()
    offered, ended = [], []
    for now, (key, shape) in enumerate(offers):
        if subject.has_room(key):
            item = (key, next(numbers))
            offered.append(item)
            ended += subject.offer(key, item, shape=shape, now=float(now))
        if now % 3 == 0:
            ended += subject.expire(float(now)) + subject.take(float(now))
    while batch := subject.take(1e9):
        ended += batch

    assert sorted(ended) == sorted(offered)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=80))
def test_a_waiting_optic_is_served_before_another_has_been_twice(busy: list[str]) -> None:
    subject = queue("a", "b", "slow")
    subject.offer("slow", ("slow", 0), shape=0, now=0.0)
    before: Counter[str] = Counter()
    for number, key in enumerate(busy):
        subject.offer(key, (key, number), shape=0, now=float(number))
        (item,) = subject.take(float(number))
        if item[0] == "slow":
            break
        before[item[0]] += 1

    assert max(before.values(), default=0) <= 1


@pytest.mark.parametrize(("ahead", "longest"), [(0.0, 0.5), (0.1, 0.4), (5.0, 0.25)])
def test_what_could_not_be_answered_within_the_budget_is_passed_over_but_never_everything(
    ahead: float, longest: float
) -> None:
    subject = queue("a", budget_seconds=0.5)
    subject.offer("a", ("a", 0), shape=0, now=10.0)

    assert subject.expire(10.0 + longest - 0.01, ahead=ahead) == []
    assert subject.expire(10.0 + longest + 0.01, ahead=ahead) == [("a", 0)]


def test_the_time_that_a_look_takes_is_expected_with_room_for_its_scatter() -> None:
    steady, scattered = ExpectedTime(), ExpectedTime()
    assert steady.seconds == 0.0
    for number in range(200):
        steady.take(0.06)
        scattered.take(0.03 if number % 2 else 0.09)

    assert steady.seconds == pytest.approx(0.06, abs=0.001)
    assert 0.09 < scattered.seconds < 0.2
