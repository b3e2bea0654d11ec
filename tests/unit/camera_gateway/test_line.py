from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.line import MAX_WAITING_SECONDS, MAX_WAITING_UNITS, Line


@dataclass(frozen=True)
class Unit:
    number: int
    arrival: float
    key: bool


def stream(count: int, rate: float, keys: int) -> list[Unit]:
    return [Unit(number, number / rate, number % keys == 0) for number in range(count)]


def numbers(line: Line[Unit], now: float) -> list[int]:
    return [unit.number for unit in line.take(1000, now)[0]]


def test_what_is_taken_in_time_comes_in_its_order() -> None:
    line = Line[Unit]()
    for unit in stream(15, 25, 50):
        assert line.put(unit, unit.arrival) == 0

    first, dropped = line.take(8, 0.7)

    assert [unit.number for unit in first] == list(range(8))
    assert dropped == 0
    assert numbers(line, 0.7) == list(range(8, 15))
    assert numbers(line, 0.7) == []


def test_what_waited_too_long_goes_and_what_refers_to_it() -> None:
    line = Line[Unit]()
    units = stream(30, 25, 10)
    dropped = [line.put(unit, unit.arrival) for unit in units]

    # At 0.76 s the first is too late; the next key picture is the tenth. At 1.16 s it is that one's turn.
    assert {number: count for number, count in enumerate(dropped) if count} == {19: 10, 29: 10}
    assert numbers(line, units[-1].arrival) == list(range(20, 30))


def test_without_a_key_picture_in_the_line_nothing_is_decoded_until_one_comes() -> None:
    line = Line[Unit]()
    units = stream(60, 25, 50)
    lost = sum(line.put(unit, unit.arrival) for unit in units)

    assert lost == 50
    assert numbers(line, units[-1].arrival) == list(range(50, 60))


def test_a_slow_camera_has_no_more_time_than_a_fast_one() -> None:
    line = Line[Unit]()
    lost = sum(line.put(unit, unit.arrival) for unit in stream(6, 5, 5))

    assert lost == 5
    assert numbers(line, 1.0) == [5]


def test_what_became_late_since_the_last_arrival_is_told_by_the_taking() -> None:
    line = Line[Unit]()
    for unit in stream(10, 25, 50):
        line.put(unit, unit.arrival)

    assert line.take(8, 5.0) == ([], 10)
    assert line.put(Unit(10, 5.0, key=False), 5.0) == 1
    assert line.put(Unit(11, 5.1, key=True), 5.1) == 0
    assert numbers(line, 5.1) == [11]


def test_what_there_was_no_time_for_comes_first_again_unless_it_is_late_by_then() -> None:
    line = Line[Unit]()
    units = stream(12, 25, 50)
    for unit in units:
        line.put(unit, unit.arrival)
    taken = line.take(8, 0.5)[0]

    line.put_back(deque(taken[5:]))
    assert [unit.number for unit in line.take(4, 0.5)[0]] == [5, 6, 7, 8]
    line.put_back(deque(taken[7:]))

    assert line.take(8, 2.0) == ([], 4)


def test_a_flood_within_the_time_takes_no_more_than_so_many_places() -> None:
    line = Line[Unit]()
    kept = 5 * MAX_WAITING_UNITS - sum(line.put(Unit(n, 0.0, n % 7 == 0), 0.0) for n in range(5 * MAX_WAITING_UNITS))

    assert len(numbers(line, 0.0)) == kept <= MAX_WAITING_UNITS


@given(st.lists(st.tuples(st.floats(0, 0.4), st.booleans(), st.integers(0, 3)), max_size=200))
def test_every_picture_is_taken_once_or_dropped_and_none_late_or_without_its_reference(
    steps: list[tuple[float, bool, int]],
) -> None:
    line, now, lost = Line[Unit](), 0.0, 0
    taken: list[Unit] = []
    for number, (elapsed, key, most) in enumerate(steps):
        now += elapsed
        lost += line.put(Unit(number, now, key or number == 0), now)
        units, dropped = line.take(most, now)
        assert all(now - unit.arrival <= MAX_WAITING_SECONDS for unit in units)
        lost, taken = lost + dropped, [*taken, *units]
    units, dropped = line.take(len(steps), now)
    taken += units

    assert len(taken) + lost + dropped == len(steps)
    # After a hole, only a key picture.
    assert all(unit.key or unit.number == before.number + 1 for before, unit in itertools.pairwise(taken))
