from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.search.features import Features, PathPoint, describe

CALIBRATED = [PathPoint(t, (0.5, 0.9 - t / 20), (0.0, 8.0 * t)) for t in range(5)]


def test_a_calibrated_way_has_direction_and_speed() -> None:
    features = describe(CALIBRATED, 4.5, may_have_speed=True)
    assert features.heading == pytest.approx(0.0)
    assert features.leaving == pytest.approx(0.0)
    assert (features.speed_low, features.speed_high) == (8.0, 8.0)
    assert features.first == (0.5, 0.9)
    assert features.still_seconds == 1.0


def test_no_speed_is_known_of_whom_none_may_be_known() -> None:
    features = describe(CALIBRATED, 4.5, may_have_speed=False, reported=None)
    assert (features.speed_low, features.speed_high) == (None, None)
    assert features.heading is not None


def test_who_stops_and_leaves_another_way_has_two_directions() -> None:
    path = [
        *(PathPoint(t, (0.1 * t, 0.5), (5.0 * t, 0.0)) for t in range(4)),
        PathPoint(100.0, (0.3, 0.5), (15.0, 1.0)),
        PathPoint(102.0, (0.3, 0.3), (15.0, 9.0)),
    ]
    features = describe(path, 102.0, may_have_speed=True)
    assert features.still_seconds == 97.0
    assert features.heading == pytest.approx(math.degrees(math.atan2(15, 9)))
    assert features.leaving == pytest.approx(0.0)
    assert features.speed_low == pytest.approx(1.0 / 97.0)


def test_the_detector_s_own_heading_of_a_moving_vehicle_wins() -> None:
    assert describe(CALIBRATED, 4.0, may_have_speed=True, reported=(8.0, 33.0)).leaving == 33.0
    assert describe(CALIBRATED, 4.0, may_have_speed=True, reported=(0.5, 33.0)).leaving == pytest.approx(0.0)


def test_without_calibration_only_the_picture_is_known() -> None:
    path = [PathPoint(point.time, point.image) for point in CALIBRATED]
    expected = Features(still_seconds=1.0, first=path[0].image, last=path[-1].image)
    assert describe(path, 4.0, may_have_speed=True) == expected
    assert describe([], 4.0, may_have_speed=True) == Features()


numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers, st.none() | st.tuples(numbers, numbers)), max_size=12), numbers)
def test_whatever_the_way_directions_are_degrees(points: list[tuple[float, float, object]], end: float) -> None:
    path = [PathPoint(time, (x, x), ground) for time, x, ground in sorted(points, key=lambda each: each[0])]  # type: ignore[arg-type]
    features = describe(path, end, may_have_speed=True)
    for degrees in (features.heading, features.leaving):
        assert degrees is None or 0.0 <= degrees <= 360.0
    assert features.still_seconds is None or features.still_seconds >= 0.0
    assert features.speed_low is None or 0.0 <= features.speed_low <= (features.speed_high or 0.0)
