from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.liveness import (
    EXPIRY_REASON,
    LONGEST_OVERDUE,
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


def skips(liveness: Liveness, *, rate: float, since: float, until: float) -> float | None:
    """Let something that is not decoded come five times a second; when the state expired."""
    for step in range(int(5 * (until - since)) + 1):
        now = since + step / 5
        if liveness.expire(now):
            return now
        liveness.on_skipped(now, rate)
    return None


@pytest.mark.parametrize(
    ("rate", "after"), [(25.0, 5.0), (0.6, 5.0), (0.5, 6.0), (0.2, 15.0), (0.01, 30.0), (0.0, 30.0)]
)
def test_what_nobody_decodes_is_a_sign_of_life_until_a_picture_is_overdue(rate: float, after: float) -> None:
    liveness = in_state(State.STREAMING)

    expired = skips(liveness, rate=rate, since=0.2, until=60.0)

    assert expired == pytest.approx(after, abs=0.3)
    assert (liveness.state, liveness.reason) == (State.BACKING_OFF, Reason.DECODE_ERRORS)


def test_key_pictures_alone_keep_a_stream_alive() -> None:
    liveness = in_state(State.STREAMING)
    for key in range(10):
        # A key picture every two seconds, which is as often as pictures are wanted.
        liveness.apply(Event.FRAME, 2.0 * key)
        assert skips(liveness, rate=0.5, since=2.0 * key + 0.2, until=2.0 * key + 1.8) is None

    assert liveness.state is State.STREAMING


def test_a_rate_that_rises_does_not_make_the_next_picture_overdue() -> None:
    liveness = in_state(State.STREAMING)
    liveness.on_skipped(0.1, 0.1)

    assert skips(liveness, rate=5.0, since=0.2, until=20.0) is None


def test_what_is_not_the_camera_s_fault_does_not_end_a_stream_before_dialling_again_could_help() -> None:
    liveness = in_state(State.STREAMING)
    for second in range(1, 29):
        liveness.on_broken()
        liveness.on_undelivered(float(second))
        assert not liveness.expire(float(second))

    assert liveness.expire(LONGEST_OVERDUE)
    assert liveness.reason is Reason.DECODE_ERRORS


def test_silence_after_what_nobody_decodes_is_a_stall() -> None:
    liveness = in_state(State.STREAMING)
    liveness.on_skipped(2.0, 0.1)

    assert liveness.deadline == 7.0
    assert liveness.expire(7.0)
    assert liveness.reason is Reason.STALL


@pytest.mark.parametrize("rate", [25.0, 2.0, 0.5, 0.2])
def test_a_camera_that_hangs_between_two_pictures_is_a_stall_at_every_rate(rate: float) -> None:
    liveness = in_state(State.STREAMING)
    skips(liveness, rate=rate, since=0.2, until=1.0 / rate)

    assert liveness.deadline is not None
    assert liveness.expire(liveness.deadline)
    assert liveness.reason is Reason.STALL


@pytest.mark.parametrize("state", [state for state in State if state is not State.STREAMING])
def test_what_nobody_decodes_is_never_the_first_sign_of_life(state: State) -> None:
    liveness = in_state(state)
    before = liveness.deadline

    liveness.on_skipped(1.0, 5.0)

    assert (liveness.state, liveness.deadline) == (state, before)


@given(rates=st.lists(st.floats(0, 100), min_size=1, max_size=400), step=st.floats(0.04, 4.9))
def test_no_stream_lives_on_what_nobody_decodes(rates: list[float], step: float) -> None:
    liveness = in_state(State.STREAMING)
    for number, rate in enumerate(rates, 1):
        now = number * step
        if liveness.expire(now):
            break
        liveness.on_skipped(now, rate)

    assert (liveness.state is State.STREAMING) <= (len(rates) * step < LONGEST_OVERDUE + 1e-6)


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
