from __future__ import annotations

from mesh.local.restart import RestartBackoff, RestartPolicy


def test_delays_double_up_to_the_limit() -> None:
    backoff = RestartBackoff(RestartPolicy(first_delay=0.5, longest_delay=3.0, healthy_after=10.0))

    assert [backoff.delay_after(uptime=0.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_healthy_while_begins_anew() -> None:
    backoff = RestartBackoff(RestartPolicy(first_delay=0.5, longest_delay=3.0, healthy_after=10.0))
    for _ in range(3):
        backoff.delay_after(uptime=0.0)

    assert backoff.delay_after(uptime=10.0) == 0.5


def test_weeks_of_crashes_do_not_overflow() -> None:
    backoff = RestartBackoff(RestartPolicy())
    delays = [backoff.delay_after(uptime=0.0) for _ in range(5000)]

    assert delays[-1] == RestartPolicy().longest_delay


def test_one_kill_leaves_time_to_be_back_within_five_seconds() -> None:
    assert RestartBackoff(RestartPolicy()).delay_after(uptime=60.0) < 1.0
