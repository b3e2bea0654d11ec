from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.admission import Admission, Limits
from camera_gateway.domain.liveness import Backoff, Event, Liveness, Timeouts


def test_the_oldest_go_first_and_a_full_site_holds_nobody_else_up() -> None:
    admission = Admission(Limits(total=3, per_site=2))
    for number in range(4):
        admission.ask(f"a{number}", "a")
    admission.ask("b0", "b")
    admission.ask("b1", "b")

    assert admission.admit(0.0) == ["a0", "a1", "b0"]
    assert admission.admit(0.0) == []
    admission.leave("a1")
    assert admission.admit(0.1) == ["a2"]


def test_who_waits_for_a_silent_camera_stops_counting() -> None:
    admission = Admission(Limits(total=1, per_site=1, longest=3.0))
    admission.ask("silent", "a")
    admission.admit(10.0)
    admission.ask("next", "a")

    assert admission.next_turn() == 13.0
    assert admission.admit(12.9) == []
    assert admission.admit(13.0) == ["next"]


def test_who_leaves_the_line_is_forgotten() -> None:
    admission = Admission(Limits())
    admission.ask("a", "x")
    admission.leave("a")

    assert admission.admit(0.0) == []
    assert (admission.waiting, admission.under_way, admission.next_turn()) == (0, 0, None)


steps = st.lists(st.tuples(st.sampled_from(["ask", "leave", "wait"]), st.integers(0, 30)), max_size=200)


@given(steps=steps, total=st.integers(1, 6), per_site=st.integers(1, 3))
def test_the_limits_hold_and_the_line_always_moves(steps: list[tuple[str, int]], total: int, per_site: int) -> None:
    admission = Admission(Limits(total, per_site, longest=3.0))
    now, under_way = 0.0, dict[int, float]()
    for step, number in steps:
        if step == "ask" and number not in under_way:
            admission.ask(number, f"site {number % 4}")
        elif step == "leave":
            admission.leave(number)
            under_way.pop(number, None)
        else:
            now += number / 10
        under_way = {ticket: since for ticket, since in under_way.items() if since + 3.0 > now}
        for ticket in admission.admit(now):
            assert isinstance(ticket, int)
            under_way[ticket] = now
        assert len(under_way) <= total
        assert max(Counter(ticket % 4 for ticket in under_way).values(), default=0) <= per_site
    while admission.waiting:
        turn = admission.next_turn()
        assert turn is not None
        before = admission.under_way
        assert admission.admit(turn) or admission.under_way < before


CONNECTING_SECONDS = 2.0
"""A handshake and the wait for a key picture."""


class City:
    """The machines of many optics at 123 sites, in a time of their own; some cameras are gone for good.

    Each dials when its machine says so and its turn has come, and fails by its deadline until the network is back.
    """

    def __init__(self, optics: int, dead: int, back_at: float) -> None:
        self._optics, self._back_at = optics, back_at
        numbers = random.Random(1)
        self._machines = [Liveness(Timeouts(), Backoff(), numbers.random) for _ in range(optics + dead)]
        self._admission = Admission(Limits())
        self._calendar = [(0.0, optic, "due") for optic in range(optics + dead)]
        self._turns: set[float] = set()
        self.healthy: dict[int, float] = {}
        self.most_under_way = 0
        self.dials_per_second: Counter[int] = Counter()

    def run(self) -> None:
        while len(self.healthy) < self._optics:
            now, optic, what = heapq.heappop(self._calendar)
            if what == "due":
                self._admission.ask(optic, f"sites/{optic % 123}")
            elif what != "turn":
                self._end_dial(now, optic, what)
            for ticket in self._admission.admit(now):
                assert isinstance(ticket, int)
                self._dial(now, ticket)
            turn = self._admission.next_turn()
            if turn is not None and turn > now and turn not in self._turns:
                self._turns.add(turn)
                heapq.heappush(self._calendar, (turn, optic, "turn"))
            self.most_under_way = max(self.most_under_way, self._admission.under_way)

    def _dial(self, now: float, optic: int) -> None:
        machine = self._machines[optic]
        machine.apply(Event.DIAL, now)
        self.dials_per_second[int(now)] += now >= self._back_at
        if now >= self._back_at and optic < self._optics:
            heapq.heappush(self._calendar, (now + CONNECTING_SECONDS, optic, "frame"))
        else:
            assert machine.deadline is not None
            heapq.heappush(self._calendar, (machine.deadline, optic, "expires"))

    def _end_dial(self, now: float, optic: int, what: str) -> None:
        machine = self._machines[optic]
        self._admission.leave(optic)
        if what == "frame":
            for event in (Event.CONNECTED, Event.FRAME):
                assert machine.apply(event, now)
            self.healthy[optic] = now
        else:
            assert machine.expire(now)
            assert machine.retry_at is not None
            heapq.heappush(self._calendar, (machine.retry_at, optic, "due"))


@pytest.mark.parametrize(("dead", "outage"), [(0, 3600.0), (300, 600.0)])
def test_six_hundred_cameras_come_back_within_two_minutes(dead: int, outage: float) -> None:
    city = City(600, dead, outage)

    city.run()

    assert len(city.healthy) == 600
    assert max(city.healthy.values()) <= outage + 120.0
    assert city.most_under_way <= Limits().total
    # Smoothly: no second sees more dials than the limit on those under way allows.
    assert max(city.dials_per_second.values()) <= Limits().total
