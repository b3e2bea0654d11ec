from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.liveness import (
    EXPIRY_REASON,
    POLICY_REFUSALS,
    TRANSITIONS,
    Backoff,
    Event,
    Liveness,
    Reason,
    State,
    Timeouts,
)

ROAD_TO = {
    State.IDLE: [],
    State.CONNECTING: [Event.DIAL],
    State.WAITING_FIRST_FRAME: [Event.DIAL, Event.CONNECTED],
    State.STREAMING: [Event.DIAL, Event.CONNECTED, Event.FRAME],
    State.BACKING_OFF: [Event.DIAL, Event.FAILED],
    State.REFUSED: [Event.DIAL, Event.REFUSED],
    State.STOPPED: [Event.STOP],
}
REASONED = {Event.FAILED: Reason.STALL, Event.REFUSED: Reason.UNSUPPORTED_CODEC, Event.STOP: Reason.SHUTDOWN}


def machine(random_number: float = 0.5) -> Liveness:
    return Liveness(Timeouts(connect=10, first_frame=7, stall=5), Backoff(), lambda: random_number)


def in_state(state: State) -> Liveness:
    liveness = machine()
    for event in ROAD_TO[state]:
        liveness.apply(event, 0.0, REASONED.get(event))
    assert liveness.state is state
    return liveness


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_of_the_table(state: State, event: Event) -> None:
    liveness = in_state(state)
    expected = TRANSITIONS.get((state, event), state)

    changed = liveness.apply(event, 1.0, REASONED.get(event))

    assert liveness.state is expected
    assert changed is (expected is not state)
    assert (liveness.deadline is not None) is (expected in EXPIRY_REASON)
    assert (liveness.retry_at is not None) is (expected in (State.BACKING_OFF, State.REFUSED))


@pytest.mark.parametrize("state", [state for state in State if state is not State.STOPPED])
def test_every_state_can_be_stopped_and_nothing_leaves_stopped(state: State) -> None:
    liveness = in_state(state)
    liveness.apply(Event.STOP, 1.0, Reason.SHUTDOWN)

    for event in Event:
        liveness.apply(event, 2.0, REASONED.get(event))

    assert liveness.state is State.STOPPED


@pytest.mark.parametrize(("state", "reason"), list(EXPIRY_REASON.items()))
def test_a_state_expires_at_its_deadline_with_its_reason(state: State, reason: Reason) -> None:
    liveness = in_state(state)
    deadline = liveness.deadline
    assert deadline is not None

    assert not liveness.expire(deadline - 0.001)
    assert liveness.expire(deadline)
    assert (liveness.state, liveness.reason) == (State.BACKING_OFF, reason)


@pytest.mark.parametrize("state", [State.WAITING_FIRST_FRAME, State.STREAMING])
def test_what_does_not_decode_is_the_reason_of_the_expiry(state: State) -> None:
    liveness = in_state(state)
    liveness.on_broken()

    liveness.expire(100.0)

    assert liveness.reason is Reason.DECODE_ERRORS


def test_a_frame_pardons_what_did_not_decode_before_it() -> None:
    liveness = in_state(State.STREAMING)
    liveness.on_broken()
    liveness.apply(Event.FRAME, 1.0)

    liveness.expire(100.0)

    assert liveness.reason is Reason.STALL


@pytest.mark.parametrize("reason", sorted(POLICY_REFUSALS, key=str))
def test_a_refusal_waits_at_least_half_of_the_longest_wait(reason: Reason) -> None:
    liveness = in_state(State.CONNECTING)

    liveness.fail(reason, 1.0)

    assert liveness.state is State.REFUSED
    assert liveness.retry_at is not None
    assert 31.0 <= liveness.retry_at <= 61.0


def test_a_camera_that_dials_us_may_take_for_ever() -> None:
    liveness = Liveness(Timeouts(connect=None), Backoff(), lambda: 0.5)
    liveness.apply(Event.DIAL, 0.0)

    assert liveness.deadline is None
    assert not liveness.expire(1e9)


@pytest.mark.parametrize(("healthy_for", "failures"), [(59.0, 4), (60.0, 1)])
def test_a_minute_of_health_forgives_the_failures_before(healthy_for: float, failures: int) -> None:
    liveness = machine()
    now = 0.0
    for _ in range(3):
        liveness.apply(Event.DIAL, now)
        liveness.fail(Reason.UNREACHABLE, now)
    for event in (Event.DIAL, Event.CONNECTED, Event.FRAME):
        liveness.apply(event, now)
    liveness.apply(Event.FRAME, now + healthy_for)

    liveness.fail(Reason.STALL, now + healthy_for)

    assert liveness.failures == failures


@pytest.mark.parametrize("event", [Event.FAILED, Event.REFUSED, Event.STOP])
def test_an_end_needs_its_reason(event: Event) -> None:
    with pytest.raises(ValueError, match="reason"):
        machine().apply(event, 0.0)


@given(failures=st.integers(1, 10_000), number=st.floats(0, 1, exclude_max=True))
def test_the_wait_stays_between_its_bounds(failures: int, number: float) -> None:
    delay = Backoff().delay(failures, lambda: number)

    assert 1.0 <= delay <= min(60.0, 2.0 ** min(failures, 6))


events = st.lists(st.tuples(st.sampled_from(Event), st.sampled_from(Reason), st.floats(0, 100)), max_size=60)


@given(steps=events, seed=st.integers())
def test_no_sequence_of_events_leaves_it_stuck(steps: list[tuple[Event, Reason, float]], seed: int) -> None:
    liveness = Liveness(Timeouts(), Backoff(), random.Random(seed).random)
    now = 0.0
    for event, reason, elapsed in steps:
        now += elapsed
        before = liveness.retry_at
        liveness.expire(now)
        liveness.apply(event, now, reason)
        if liveness.retry_at not in (None, before):
            assert 1.0 <= liveness.retry_at - now <= 60.0

    if liveness.state is State.STOPPED:
        assert liveness.deadline is None
        assert liveness.retry_at is None
        return
    # Whatever happened: time alone, and the dials that it asks for, lead to CONNECTING again.
    if liveness.deadline is not None:
        assert liveness.expire(liveness.deadline)
    if liveness.state is not State.IDLE:
        assert liveness.retry_at is not None
    assert liveness.apply(Event.DIAL, now)
    assert liveness.state is State.CONNECTING
