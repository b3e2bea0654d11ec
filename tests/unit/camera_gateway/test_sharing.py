from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.sharing import (
    DECREASE,
    OVERLOADED,
    RECOVERED_SECONDS,
    TRANSITIONS,
    UNLIMITED,
    Allowance,
    Budget,
    Claim,
    Event,
    Load,
    Pace,
    State,
    share,
)

CALM, STRAIN = Load(100, 0), Load(100, 50)

claims = st.lists(
    st.builds(
        Pace,
        st.floats(0.5, 25),
        st.just(0.5),
        st.integers(0, 3),
    ).flatmap(
        lambda pace: st.builds(lambda moving, arriving: (pace, moving, arriving), st.booleans(), st.floats(0, 30))
    ),
    max_size=20,
).map(
    lambda drawn: [
        pace.claim(f"o{number:02}", moving=moving, arriving=arriving)
        for number, (pace, moving, arriving) in enumerate(drawn)
    ]
)


@given(claims, st.floats(0, 300))
def test_no_more_is_shared_than_there_is_and_nobody_gets_more_than_it_wants(wanted: list[Claim], budget: float) -> None:
    shares = share(wanted, budget)

    assert set(shares) == {claim.optic for claim in wanted}
    assert sum(shares.values()) <= budget + 1e-6
    assert all(0 <= shares[claim.optic] <= claim.wanted + 1e-9 for claim in wanted)
    # And nothing is kept back that somebody wants.
    assert sum(shares.values()) == pytest.approx(min(budget, sum(claim.wanted for claim in wanted)), abs=1e-6)


@given(claims, st.floats(0, 300))
def test_everybody_keeps_its_minimum_before_anybody_gets_more(wanted: list[Claim], budget: float) -> None:
    shares = share(wanted, budget)

    if any(shares[claim.optic] > claim.minimum + 1e-9 for claim in wanted):
        assert all(shares[claim.optic] >= min(claim.minimum, claim.wanted) - 1e-9 for claim in wanted)


@given(claims, st.floats(0, 300))
def test_nobody_gets_more_than_its_minimum_while_somebody_more_urgent_wants_more(
    wanted: list[Claim], budget: float
) -> None:
    shares = share(wanted, budget)

    for claim, other in itertools.permutations(wanted, 2):
        if claim.urgency < other.urgency and shares[claim.optic] > claim.minimum + 1e-6:
            assert shares[other.optic] == pytest.approx(other.wanted)


@given(claims, st.floats(0, 300))
def test_equals_are_treated_alike_and_nobody_is_starved(wanted: list[Claim], budget: float) -> None:
    shares = share(wanted, budget)

    for claim, other in itertools.permutations(wanted, 2):
        if claim.urgency == other.urgency and claim.wanted <= other.wanted:
            assert shares[claim.optic] <= shares[other.optic] + 1e-6
            # The one that wants less is cut only where the other got no more.
            if shares[claim.optic] < claim.wanted - 1e-6:
                assert shares[other.optic] == pytest.approx(shares[claim.optic], abs=1e-6)
    if budget > 1e-6:
        assert all(shares[claim.optic] > 0 for claim in wanted)


@given(rate=st.floats(0.5, 25), heartbeat=st.floats(0.1, 0.5), moving=st.booleans(), arriving=st.floats(0, 60))
def test_a_claim_lies_between_the_heartbeat_and_the_policy(
    *, rate: float, heartbeat: float, moving: bool, arriving: float
) -> None:
    claim = Pace(rate, heartbeat).claim("o", moving=moving, arriving=arriving)

    assert heartbeat <= claim.wanted <= rate
    assert claim.minimum == heartbeat


# --- the budget


def street(count: int = 10) -> list[Claim]:
    return [Claim(f"o{number}", 5.0, 0.5) for number in range(count)]


def test_the_table_is_whole() -> None:
    assert dict(TRANSITIONS) == {
        (State.ENOUGH, Event.STRAIN): State.STRAINED,
        (State.STRAINED, Event.CALM): State.ENOUGH,
        (State.STRAINED, Event.COVERED): State.ENOUGH,
        (State.STRAINED, Event.LASTED): State.SHEDDING,
        (State.SHEDDING, Event.COVERED): State.RECOVERING,
        (State.RECOVERING, Event.STRAIN): State.SHEDDING,
        (State.RECOVERING, Event.CALM): State.SHEDDING,
        (State.RECOVERING, Event.LASTED): State.ENOUGH,
    }
    crossing = {
        event for (before, event), after in TRANSITIONS.items() if (before in OVERLOADED) is not (after in OVERLOADED)
    }
    assert crossing == {Event.LASTED}


def test_a_hiccup_sheds_nothing() -> None:
    budget = Budget()

    assert not budget.on_period(STRAIN, 1.0, street(), 1.0)
    assert not budget.on_period(CALM, 1.0, street(), 2.0)
    assert not budget.on_period(STRAIN, 1.0, street(), 3.0)
    assert (budget.state, budget.rate) == (State.STRAINED, UNLIMITED)


def test_strain_that_lasts_sheds_down_to_the_minimum_and_calm_brings_it_back() -> None:
    budget, now = Budget(), 0.0
    changes = []
    rates = []
    for load in [Load(50, 25)] * 20 + [CALM] * 80:
        now += 1.0
        if budget.on_period(load, 1.0, street(), now):
            changes.append((now, budget.state))
        rates.append(budget.rate)

    assert rates[0] == UNLIMITED
    assert rates[1] == pytest.approx(DECREASE * 50)
    assert rates[19] == 5.0
    # Two frames per second more every second, then half a minute in which everything is done.
    assert [round(rate, 6) for rate in rates[20:23]] == [7.5, 10.0, 12.5]
    assert changes == [(2.0, State.SHEDDING), (20.0 + 18 + RECOVERED_SECONDS, State.ENOUGH)]
    assert rates[-1] == UNLIMITED


def test_a_relapse_within_the_half_minute_is_the_same_overload() -> None:
    budget, now = Budget(), 0.0
    changed = 0
    for load in ([STRAIN] * 3 + [CALM] * 20) * 5:
        now += 1.0
        changed += budget.on_period(load, 1.0, street(), now)

    assert changed == 1
    assert budget.state in OVERLOADED


loads = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.floats(0.5, 5)), max_size=60)


@given(loads, claims)
def test_the_budget_never_falls_below_the_minimum_and_always_comes_back(
    periods: list[tuple[int, int, float]], wanted: list[Claim]
) -> None:
    budget, now = Budget(), 0.0
    floor = sum(claim.minimum for claim in wanted)
    for offered, strained, seconds in periods:
        now += seconds
        budget.on_period(Load(offered, strained), seconds, wanted, now)
        assert (budget.rate == UNLIMITED) is (budget.state not in OVERLOADED)
        assert budget.rate >= min(floor, sum(claim.wanted for claim in wanted)) - 1e-6
    for _ in range(100):
        now += 1.0
        budget.on_period(CALM, 1.0, wanted, now)
    assert (budget.state, budget.rate) == (State.ENOUGH, UNLIMITED)


def test_loads_add_up() -> None:
    assert Load(3, 1) + Load(4, 2) == Load(7, 3)
    assert not Load(0, 0).is_strained
    assert Load(0, 1).is_strained


# --- the pace of one optic


@given(st.floats(0.5, 20), st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_no_more_than_the_allowed_rate_is_taken(rate: float, steps: list[float]) -> None:
    allowance, now, taken = Allowance(), 0.0, 0
    allowance.rate = rate
    for step in steps:
        now += step
        taken += allowance.take(now)

    assert taken <= now * rate + 2


def test_the_allowed_rate_is_reached() -> None:
    allowance = Allowance()
    allowance.rate = 2.0

    assert sum(allowance.take(number * 0.2) for number in range(500)) == pytest.approx(200, abs=2)


def test_a_rate_that_was_raised_does_not_wait_for_its_old_turn() -> None:
    allowance = Allowance()
    allowance.rate = 0.001
    assert allowance.take(0.0)
    assert not allowance.take(10.0)
    allowance.rate = 5.0
    assert not allowance.take(10.0)
    assert allowance.take(10.3) or allowance.take(10.5)
    allowance.rate = UNLIMITED
    assert allowance.take(10.31)


def test_nothing_is_allowed_at_no_rate() -> None:
    allowance = Allowance()
    allowance.rate = 0.0

    assert not any(allowance.take(float(number)) for number in range(100))
