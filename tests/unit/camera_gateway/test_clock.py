from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.clock import (
    NTP_TO_UNIX_SECONDS,
    CaptureClock,
    CaptureTime,
    DriftAlarm,
    Presentation,
    SenderReport,
    Stamp,
    TimeSource,
)

RATE = 90_000


def report(unix_seconds: float, rtp_timestamp: int) -> SenderReport:
    return SenderReport(NTP_TO_UNIX_SECONDS + unix_seconds, rtp_timestamp)


def arrivals(clock: CaptureClock, *frames: tuple[float, float]) -> list[Stamp]:
    """The stamps of frames given as media time and arrival, both in seconds."""
    return [clock.stamp(round(media * RATE) % 2**32, arrival) for media, arrival in frames]


def test_without_reports_the_first_arrival_is_the_capture_time() -> None:
    time = CaptureClock(RATE).stamp(1234, 1000.0).capture_time

    assert (time.seconds, time.source) == (1000.0, TimeSource.ARRIVAL)
    assert time.uncertainty > 0


def test_without_reports_the_jitter_of_the_network_is_taken_out_of_the_arrival() -> None:
    frames = [(number * 0.2, 1000.0 + number * 0.2 + (0.3 if number % 3 else 0.0)) for number in range(30)]

    stamps = arrivals(CaptureClock(RATE), *frames)

    assert [stamp.capture_time.seconds for stamp in stamps] == pytest.approx([1000.0 + n * 0.2 for n in range(30)])
    for stamp, (_, arrival) in zip(stamps, frames, strict=True):
        assert stamp.capture_time.uncertainty >= arrival - stamp.capture_time.seconds


@pytest.mark.parametrize("skew", [0.9, 0.99, 1.01, 1.1])
def test_a_camera_whose_ticks_are_too_fast_or_too_slow_is_followed_with_an_honest_uncertainty(skew: float) -> None:
    frames = [(number * 0.2 * skew, 1000.0 + number * 0.2) for number in range(1500)]

    stamps = arrivals(CaptureClock(RATE), *frames)

    for stamp, (_, arrival) in zip(stamps, frames, strict=True):
        assert abs(stamp.capture_time.seconds - arrival) <= stamp.capture_time.uncertainty <= 1.0 + 3.1


@pytest.mark.parametrize("start", [0, 0xFFFF_FF00])
def test_a_report_gives_the_camera_s_time_also_across_the_wrap(start: int) -> None:
    clock = CaptureClock(RATE)
    clock.on_sender_report(report(1000.0, start))

    time = clock.stamp((start + 45_000) % 2**32, 1000.6).capture_time

    assert time.seconds == pytest.approx(1000.5)
    assert time.source is TimeSource.SENDER_REPORT
    assert time.uncertainty >= 0.1
    assert clock.drift == pytest.approx(0.1)


@pytest.mark.parametrize("wrong_by", [-3600.0, -6.0, -1.5, 1.0, 1e9])
def test_a_wrong_clock_is_not_believed(wrong_by: float) -> None:
    clock = CaptureClock(RATE)
    clock.on_sender_report(report(1000.0 + wrong_by, 0))

    time = clock.stamp(0, 1000.0).capture_time

    assert (time.seconds, time.source) == (1000.0, TimeSource.ARRIVAL)
    assert clock.drift == pytest.approx(-wrong_by)


def test_a_clock_that_is_set_right_is_believed_at_once() -> None:
    clock = CaptureClock(RATE)
    clock.on_sender_report(report(-1e6, 0))
    arrivals(clock, (0.0, 1000.0), (1.0, 1001.0))

    clock.on_sender_report(report(1002.0, 2 * RATE))
    time = arrivals(clock, (2.0, 1002.1))[0].capture_time

    assert (time.seconds, time.source) == (1002.0, TimeSource.SENDER_REPORT)


def test_a_late_frame_does_not_make_a_right_clock_wrong() -> None:
    clock = CaptureClock(RATE)
    clock.on_sender_report(report(1000.0, 0))

    times = [stamp.capture_time for stamp in arrivals(clock, (0.0, 1000.1), (0.2, 1003.0), (0.4, 1003.0))]

    assert [time.source for time in times] == [TimeSource.SENDER_REPORT] * 3
    assert times[1].uncertainty == pytest.approx(2.8)


@pytest.mark.parametrize("leap", [-5000.0, -2.0, 60.0, 20_000.0])
def test_a_jump_of_the_timestamps_begins_a_timeline_and_the_time_goes_on(leap: float) -> None:
    clock, presentation = CaptureClock(RATE), Presentation()
    before = arrivals(clock, *[(30_000 + n * 0.2, 1000.0 + n * 0.2) for n in range(5)])
    after = arrivals(clock, *[(30_000 + leap + n * 0.2, 1000.0 + n * 0.2) for n in range(5, 10)])

    admitted = [presentation.admit(stamp) for stamp in before + after]

    assert {stamp.timeline for stamp in before} != {stamp.timeline for stamp in after}
    assert [time.seconds for time in admitted if time] == pytest.approx([1000.0 + n * 0.2 for n in range(10)])


def test_timestamps_that_stood_still_are_not_taken_for_a_slow_network() -> None:
    clock = CaptureClock(RATE)
    arrivals(clock, (0.0, 1000.0))

    stamp = arrivals(clock, (0.2, 1006.0))[0]

    assert stamp.capture_time.seconds == 1006.0
    assert stamp.timeline == 1


def test_pictures_that_the_decoder_reorders_are_all_admitted_in_their_order() -> None:
    clock, presentation = CaptureClock(RATE), Presentation()
    decoding_order = [0.0, 0.6, 0.2, 0.4, 1.2, 0.8, 1.0]

    stamps = arrivals(clock, *[(media, 1000.0 + n * 0.2) for n, media in enumerate(decoding_order)])
    admitted = [presentation.admit(stamp) for stamp in sorted(stamps, key=lambda stamp: stamp.media_seconds)]

    times = [time.seconds for time in admitted if time is not None]
    assert len(times) == len(decoding_order)
    assert times == sorted(set(times))


def stamp_at(media: float, seconds: float, timeline: int = 0) -> Stamp:
    return Stamp(timeline, media, CaptureTime(seconds, 0.1, TimeSource.ARRIVAL))


def test_a_frame_from_the_past_or_seen_before_is_not_admitted() -> None:
    presentation = Presentation()
    stamps = [stamp_at(1.0, 1.0), stamp_at(0.5, 0.5), stamp_at(1.0, 1.0), stamp_at(0.0, 9.0, timeline=1)]

    assert [presentation.admit(stamp) is not None for stamp in [*stamps, stamps[0]]] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_better_estimate_does_not_turn_the_time_back() -> None:
    presentation = Presentation()
    times = [presentation.admit(stamp_at(media, seconds)) for media, seconds in ((0.0, 10.0), (0.2, 9.0), (0.4, 10.4))]

    seconds = [time.seconds for time in times if time is not None]
    assert seconds[0] < seconds[1] < seconds[2] == 10.4
    assert times[1] is not None
    assert times[1].uncertainty >= 1.1


def test_a_wrong_clock_that_is_given_up_may_step_back_far() -> None:
    presentation = Presentation()
    presentation.admit(stamp_at(0.0, 1e9))

    time = presentation.admit(stamp_at(0.2, 1000.0))

    assert time is not None
    assert time.seconds == 1000.0


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(-2, 30)), min_size=1, max_size=40), st.booleans())
def test_no_timestamps_make_a_time_without_bounds(frames: list[tuple[int, float]], reports: bool) -> None:  # noqa: FBT001
    clock, presentation = CaptureClock(RATE), Presentation()
    now, last = 1000.0, None
    for timestamp, elapsed in frames:
        now += max(0.0, elapsed)
        if reports:
            clock.on_sender_report(report(now, timestamp))
        stamp = clock.stamp(timestamp, now)
        assert abs(stamp.capture_time.seconds - now) <= stamp.capture_time.uncertainty <= 1.0 + 5.0
        admitted = presentation.admit(stamp)
        if admitted is not None and last is not None and last.timeline == stamp.timeline:
            assert stamp.media_seconds > last.media_seconds
        last = stamp if admitted is not None else last


# --- the alarm


def test_a_drift_is_told_once_when_it_lasts_and_once_when_it_ends() -> None:
    alarm = DriftAlarm(patience=10.0)

    told = [
        (now, alarm.active)
        for now, drift in enumerate([0.1] * 5 + [2.0] * 20 + [0.3] * 20)
        if alarm.observe(drift, float(now))
    ]

    assert told == [(15, True), (35, False)]


def test_a_short_drift_is_passed_over() -> None:
    alarm = DriftAlarm(patience=10.0)

    assert not any(alarm.observe(3.0 if number % 8 else 0.0, float(number)) for number in range(100))


@pytest.mark.parametrize("drift", [-1.01, 1.01, 1e9])
def test_a_clock_may_be_off_either_way(drift: float) -> None:
    alarm = DriftAlarm(patience=0.0)

    assert alarm.observe(drift, 0.0)
    assert alarm.active
