from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scripted.views import SPREAD, ground_of, project, view
from detector.domain.calibration import Calibration
from detector.domain.resolution import (
    Finding,
    Level,
    ResolutionFinding,
    ZoneResolution,
    assess,
    level_of,
    zone_resolution,
)

PAVEMENT = ((0.1, 0.6), (0.9, 0.6), (0.9, 0.95), (0.1, 0.95))


def calibrated(pitch: float = 25.0) -> Calibration:
    return Calibration.fit(SPREAD, ground_of(view(pitch=pitch), SPREAD))


def test_from_straight_above_every_place_is_seen_as_closely_as_another() -> None:
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    calibration = Calibration.fit(corners, corners * [40.0, -22.5])
    found = zone_resolution(calibration, PAVEMENT, 1920, 1080)

    assert (found.minimum, found.median, found.maximum) == pytest.approx((48.0, 48.0, 48.0))
    assert found.seen == 1.0


def test_a_slanting_view_sees_the_near_side_most_closely() -> None:
    calibration = calibrated()
    found = zone_resolution(calibration, PAVEMENT, 1920, 1080)
    far, near = calibration.pixels_per_metre(np.array([[0.1, 0.6], [0.1, 0.95]]), 1920, 1080)

    assert found.minimum == pytest.approx(far)
    assert found.maximum == pytest.approx(near)
    assert found.minimum < found.median < found.maximum


def test_resolution_is_that_of_the_picture_that_is_asked_for() -> None:
    small, large = (zone_resolution(calibrated(), PAVEMENT, 640 * n, 360 * n) for n in (1, 3))

    assert (large.minimum, large.median, large.maximum) == pytest.approx(
        (3 * small.minimum, 3 * small.median, 3 * small.maximum)
    )


def test_a_zone_up_to_the_horizon_is_nowhere_seen_well_enough_and_says_how_much_of_it_has_ground() -> None:
    calibration = calibrated(pitch=10.0)
    horizon = project(view(pitch=10.0), np.array([[0.0, 1e9]]))[0, 1]
    partly = zone_resolution(calibration, ((0.1, horizon - 0.2), (0.9, horizon - 0.2), (0.5, 0.9)), 1920, 1080)
    sky = zone_resolution(calibration, ((0.1, 0.0), (0.9, 0.0), (0.5, horizon - 0.01)), 1920, 1080)

    assert partly.minimum == 0.0
    assert 0.0 < partly.seen < 1.0
    assert partly.maximum > partly.median > 0.0
    assert sky == ZoneResolution(0.0, 0.0, 0.0, 0.0)


def test_a_zone_with_a_notch_is_not_sampled_in_the_notch() -> None:
    notched = ((0.1, 0.95), (0.1, 0.6), (0.2, 0.6), (0.2, 0.9), (0.8, 0.9), (0.8, 0.6), (0.9, 0.6), (0.9, 0.95))
    whole, with_notch = (zone_resolution(calibrated(), zone, 1920, 1080) for zone in (PAVEMENT, notched))

    assert (with_notch.minimum, with_notch.maximum) == pytest.approx((whole.minimum, whole.maximum))
    assert with_notch.median > whole.median


@pytest.mark.parametrize(
    ("pixels_per_metre", "level"),
    [
        (19.9, None),
        (20.0, Level.OVERVIEW),
        (39.9, Level.OVERVIEW),
        (40.0, Level.OUTLINE),
        (80.0, Level.DISCERN),
        (125.0, Level.PERCEIVE),
        (250.0, Level.CHARACTERISE),
        (500.0, Level.VALIDATE),
        (1500.0, Level.SCRUTINISE),
        (9000.0, Level.SCRUTINISE),
    ],
)
def test_each_level_begins_where_the_standard_says(pixels_per_metre: float, level: Level | None) -> None:
    assert level_of(pixels_per_metre) is level


def test_too_little_for_the_task_and_too_much_for_privacy_are_both_told() -> None:
    resolution = ZoneResolution(minimum=35.0, median=100.0, maximum=260.0, seen=1.0)

    assert assess(resolution, needed=Level.OUTLINE, limit=Level.CHARACTERISE) == (
        ResolutionFinding(Finding.TOO_LITTLE, 35.0, Level.OUTLINE),
        ResolutionFinding(Finding.TOO_MUCH, 260.0, Level.CHARACTERISE),
    )
    assert assess(resolution, needed=Level.OVERVIEW, limit=Level.VALIDATE) == ()
    assert assess(resolution, needed=None, limit=None) == ()


@given(st.floats(0.0, 3000.0), st.floats(0.0, 3000.0), st.sampled_from(Level))
def test_what_reaches_a_level_everywhere_serves_it_and_what_reaches_it_anywhere_is_too_much_for_its_limit(
    first: float, second: float, level: Level
) -> None:
    low, high = sorted((first, second))
    found = {item.finding for item in assess(ZoneResolution(low, low, high, 1.0), needed=level, limit=level)}

    assert (Finding.TOO_LITTLE in found) == (low < level)
    assert (Finding.TOO_MUCH in found) == (high >= level)
