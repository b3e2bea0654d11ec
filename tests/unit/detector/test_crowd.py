from __future__ import annotations

import math

import numpy as np
import pytest

from bench.scripted.crowd_camera import Camera
from detector.domain import geometry
from detector.domain.crowd import (
    LONGEST_STEP_SECONDS,
    SQUARE_FEET_PER_PERSON,
    WINDOW_SECONDS,
    DensityMeter,
    IntervalDensity,
    Scale,
    SlidingMean,
    level_of_service,
)
from detector.domain.ground_zone import GroundZone

CAMERA = Camera()
TEN_BY_TEN = np.array([[-5.0, 12.0], [5.0, 22.0]])
ZONE = GroundZone.survey(CAMERA.zone(TEN_BY_TEN), CAMERA.calibration)


def crowd(*places: tuple[float, float]) -> dict[int, tuple[float, float]]:
    return dict(enumerate(places))


def spread_out(number: int) -> dict[int, tuple[float, float]]:
    places = np.random.default_rng(number).uniform(TEN_BY_TEN[0], TEN_BY_TEN[1], (number, 2))
    return {track: (east, north) for track, (east, north) in enumerate(places.tolist())}


# Levels of service ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "bounds"),
    [
        # Persons per square metre, to two digits, as they are usually given.
        (Scale.WALKWAY, (0.31, 0.43, 0.72, 1.08, 2.15)),
        (Scale.QUEUE, (0.83, 1.08, 1.54, 3.59, 5.38)),
    ],
)
def test_fruins_levels_change_where_he_put_them(scale: Scale, bounds: tuple[float, ...]) -> None:
    assert [level_of_service(bound - 0.01, scale) for bound in bounds] == list("ABCDE")
    assert [level_of_service(bound + 0.01, scale) for bound in bounds] == list("BCDEF")
    assert level_of_service(0.0, scale) == "A"
    assert list(SQUARE_FEET_PER_PERSON[scale]) == sorted(SQUARE_FEET_PER_PERSON[scale], reverse=True)


def test_two_per_square_metre_are_crowded_for_walkers_and_not_for_a_queue() -> None:
    assert (level_of_service(2.0, Scale.WALKWAY), level_of_service(2.0, Scale.QUEUE)) == ("E", "D")


# Sliding mean ---------------------------------------------------------------------------------------------------------


def test_a_mean_is_known_only_when_enough_was_looked_at() -> None:
    subject = SlidingMean()
    known = []
    for number in range(60):
        subject.step(number * 0.2, 4.0)
        known.append(subject.mean())

    # Half of ten seconds.
    assert known[24] is None
    assert known[26:] == pytest.approx([4.0] * 34)


def test_a_frame_speaks_for_the_time_since_the_one_before_but_not_for_a_long_gap() -> None:
    subject = SlidingMean()
    spoken = [subject.step(time, 1.0) for time in (0.0, 0.2, 2.2, 60.0)]

    assert spoken == pytest.approx([0.0, 0.2, 2.0, LONGEST_STEP_SECONDS])
    assert subject.mean() is None


def test_the_mean_weighs_time_and_not_frames() -> None:
    subject = SlidingMean()
    for number in range(26):
        subject.step(number * 0.2, 10.0)
    for number in range(1, 3):
        subject.step(5.0 + number * 2.0, 0.0)

    assert subject.mean() == pytest.approx(10.0 * 5.0 / 9.0)


def test_a_clock_that_was_set_back_begins_a_new_mean() -> None:
    subject = SlidingMean()
    for number in range(100):
        subject.step(1000.0 + number * 0.2, 4.0)
    subject.step(0.0, 8.0)

    assert subject.mean() is None


# Density --------------------------------------------------------------------------------------------------------------


def measured(meter: DensityMeter, people: dict[int, tuple[float, float]], *, begin: float, seconds: float) -> None:
    for number in range(round(seconds * 5)):
        meter.step(begin + number / 5, people)


def test_the_density_is_people_over_area_after_ten_seconds() -> None:
    meter = DensityMeter(ZONE)
    measured(meter, spread_out(50), begin=0.0, seconds=20.0)
    measured(meter, spread_out(100), begin=20.0, seconds=5.0)
    halfway = meter.mean
    measured(meter, spread_out(100), begin=25.0, seconds=5.0)

    assert halfway == pytest.approx(0.75, abs=0.02)
    assert meter.mean == pytest.approx(1.0, abs=0.02)


def test_nobody_is_a_density_of_nothing_and_not_an_unknown_one() -> None:
    meter = DensityMeter(ZONE)
    measured(meter, {}, begin=0.0, seconds=12.0)
    density = meter.density()

    assert density is not None
    assert (density.mean, density.peak, density.uncertainty) == (0.0, 0.0, 0.0)


def test_the_densest_spot_is_found_wherever_it_lies_between_the_cells() -> None:
    for corner in ((-3.0, 15.0), (-2.5, 15.5), (0.3, 17.9)):
        knot = [(corner[0] + i * 0.3 + 0.1, corner[1] + j * 0.3 + 0.1) for i in range(3) for j in range(4)]
        meter = DensityMeter(ZONE)
        measured(meter, crowd(*knot, (4.0, 21.0)), begin=0.0, seconds=12.0)
        density = meter.density()

        assert density is not None
        # Twelve in a square of two metres.
        assert density.peak == pytest.approx(3.0, rel=0.05)
        assert density.mean == pytest.approx(0.13, rel=0.01)
        assert density.block_area == pytest.approx(4.0)


def test_at_the_edge_only_the_ground_within_the_zone_counts() -> None:
    triangle = CAMERA.zone(TEN_BY_TEN)[:3]
    zone = GroundZone.survey(triangle, CAMERA.calibration)
    inside = [place for place in spread_out(4000).values() if geometry.inside(place, zone.corners)]
    meter = DensityMeter(zone)
    measured(meter, crowd(*inside), begin=0.0, seconds=8.0)
    density = meter.density()

    assert density is not None
    assert density.mean == pytest.approx(40.0, rel=0.05)
    # A grid that ignored the zone's edge would find half of that there, one that divided by too little, far more.
    assert density.mean < density.peak < 1.5 * density.mean


def test_the_uncertainty_comes_from_the_area_and_from_who_is_missed_for_a_moment() -> None:
    random, people = np.random.default_rng(1), spread_out(50)
    whole, flickering = DensityMeter(ZONE), DensityMeter(ZONE)
    for number in range(300):
        whole.step(number / 5, people)
        flickering.step(number / 5, {track: place for track, place in people.items() if random.random() > 0.2})
    sure, unsure = whole.density(), flickering.density()

    assert sure is not None
    assert unsure is not None
    assert sure.uncertainty == pytest.approx(sure.mean * ZONE.area_error / ZONE.area)
    assert unsure.mean == pytest.approx(0.4, abs=0.02)
    assert unsure.uncertainty / unsure.mean == pytest.approx(math.hypot(0.2, ZONE.area_error / ZONE.area), abs=0.03)
    # What was missed lies within it.
    assert unsure.mean + unsure.uncertainty > 0.45


def test_who_comes_back_after_long_was_not_missed() -> None:
    meter = DensityMeter(ZONE)
    for number in range(300):
        meter.step(number / 5, spread_out(10) if (number // 25) % 2 else {})
    density = meter.density()

    assert density is not None
    assert density.uncertainty == pytest.approx(density.mean * ZONE.area_error / ZONE.area)


def test_a_clock_that_was_set_back_leaves_nobody_behind_in_the_cells() -> None:
    meter = DensityMeter(ZONE)
    measured(meter, spread_out(100), begin=1000.0, seconds=12.0)
    measured(meter, crowd((0.0, 17.0)), begin=0.0, seconds=12.0)
    density = meter.density()

    assert density is not None
    assert density.mean == pytest.approx(0.01)
    assert density.peak == pytest.approx(0.25, rel=0.01)


def test_the_cells_do_not_drift_over_a_day() -> None:
    meter, random = DensityMeter(ZONE), np.random.default_rng(0)
    for number in range(3000):
        meter.step(number * 0.2 + random.uniform(0.0, 0.1), spread_out(number % 7))
    measured(meter, {}, begin=700.0, seconds=WINDOW_SECONDS + 2.0)
    density = meter.density()

    assert density is not None
    assert density.peak == pytest.approx(0.0, abs=1e-9)


# Trend ----------------------------------------------------------------------------------------------------------------


def test_the_trend_is_that_of_people_who_arrive() -> None:
    meter = DensityMeter(ZONE)
    for number in range(60 * 5):
        # Thirty more every minute on a hundred square metres.
        meter.step(number / 5, spread_out(20 + number // 10))
    density = meter.density()

    assert density is not None
    assert density.trend is not None
    assert density.trend.slope == pytest.approx(0.3, abs=0.01)
    assert density.trend.error < 0.02


def test_too_short_a_time_has_no_trend() -> None:
    meter = DensityMeter(ZONE)
    measured(meter, spread_out(20), begin=0.0, seconds=15.0)
    density = meter.density()

    assert density is not None
    assert density.trend is None


def test_a_number_that_only_wavers_has_a_trend_of_nothing_within_its_error() -> None:
    slopes = []
    for seed in range(60):
        random, meter, number = np.random.default_rng(seed), DensityMeter(ZONE), 50.0
        for frame in range(60):
            number += 0.2 * (50.0 - number) + random.normal(0.0, 3.0)
            meter.step(float(frame), spread_out(max(0, round(number))))
        density = meter.density()
        assert density is not None
        assert density.trend is not None
        slopes.append(density.trend.slope / density.trend.error)

    # An error that took neighbouring seconds for independent would leave nearly half beyond two of them.
    assert np.mean(np.abs(slopes) > 2.0) < 0.15


# Counts ---------------------------------------------------------------------------------------------------------------


def test_an_interval_has_the_mean_and_the_most_over_ten_seconds() -> None:
    subject = IntervalDensity(ZONE)
    for number in range(301):
        subject.step(number / 5, 80 if 20.0 <= number / 5 < 30.0 else 20)
    mean, maximum = subject.collect()

    assert mean == pytest.approx((50 * 0.2 + 10 * 0.8) / 60, rel=0.01)
    assert maximum == pytest.approx(0.8, rel=0.03)
    assert subject.collect() == (0.0, 0.0)


def test_a_short_peak_is_not_a_density() -> None:
    subject = IntervalDensity(ZONE)
    for number in range(301):
        subject.step(number / 5, 200 if number == 150 else 10)

    assert subject.collect()[1] == pytest.approx(0.1 + 1.9 * 0.02, rel=0.05)
