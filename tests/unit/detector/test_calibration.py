from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scripted.views import SPREAD, ground_of, project, view
from detector.domain.calibration import Calibration, CalibrationError

views = st.builds(
    view,
    height=st.floats(3.0, 30.0),
    pitch=st.floats(20.0, 80.0),
    field_of_view=st.floats(30.0, 80.0),
    yaw=st.floats(0.0, 360.0),
)
MANY = np.stack(np.meshgrid([0.1, 0.35, 0.65, 0.9], [0.5, 0.65, 0.8, 0.95]), axis=-1).reshape(-1, 2)
FLAT = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])


@given(views, st.integers(4, len(SPREAD)), st.floats(-5e5, 5e5))
def test_any_view_of_the_ground_is_recovered_from_its_pairs(truth: np.ndarray, count: int, offset: float) -> None:
    calibration = Calibration.fit(SPREAD[:count], ground_of(truth, SPREAD[:count]) + offset)
    places = ground_of(truth, SPREAD)

    np.testing.assert_allclose(calibration.to_ground(SPREAD) - offset, places, atol=1e-5 * (1 + abs(places).max()))
    np.testing.assert_allclose(calibration.to_image(places + offset), SPREAD, atol=1e-5)


@given(views, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_way_to_the_ground_and_back_ends_where_it_began(
    truth: np.ndarray, points: list[tuple[float, float]]
) -> None:
    calibration = Calibration.fit(SPREAD, ground_of(truth, SPREAD))
    image = np.array(points)
    ground = calibration.to_ground(image)
    near = np.linalg.norm(ground, axis=1) < 1e4

    np.testing.assert_allclose(calibration.to_image(ground[near]), image[near], atol=1e-6)


@given(views)
def test_the_derivative_is_that_of_the_map(truth: np.ndarray) -> None:
    calibration, step = Calibration.fit(SPREAD, ground_of(truth, SPREAD)), 1e-6
    for axis in (0, 1):
        aside = SPREAD + step * np.eye(2)[axis]
        slope = (calibration.to_ground(aside) - calibration.to_ground(SPREAD)) / step

        np.testing.assert_allclose(calibration.jacobian(SPREAD)[:, :, axis], slope, rtol=1e-3, atol=1e-3)


def test_points_at_and_above_the_horizon_have_no_place_on_the_ground() -> None:
    truth = view(pitch=10.0)
    calibration = Calibration.fit(SPREAD, ground_of(truth, SPREAD))
    horizon = project(truth, np.array([[0.0, 1e9]]))[0, 1]
    points = np.array([[0.5, horizon - 0.1], [0.5, horizon - 1e-3], [0.5, horizon + 1e-3]])

    assert 0.0 < horizon < 0.5
    assert np.isnan(calibration.to_ground(points)).all(axis=1).tolist() == [True, True, False]
    assert np.isnan(calibration.error_at(points, np.array([0.01, 0.01]))).tolist() == [True, True, False]
    assert np.isnan(calibration.pixels_per_metre(points, 1920, 1080)).tolist() == [True, True, False]


def test_what_lies_behind_the_camera_is_not_in_the_picture() -> None:
    calibration = Calibration.fit(SPREAD, ground_of(view(pitch=20.0), SPREAD))

    assert np.isnan(calibration.to_image(np.array([[0.0, -30.0]]))).all()


def test_four_pairs_have_no_residual_because_nothing_is_left_to_check_them() -> None:
    calibration = Calibration.fit(SPREAD[:4], ground_of(view(), SPREAD[:4]))

    assert (calibration.residual_metres, calibration.residual_picture) == (None, None)
    assert calibration.residual_pixels(1920, 1080) is None
    assert np.isnan(calibration.left_out_metres).all()


def test_the_residual_is_the_error_that_the_pairs_were_entered_with() -> None:
    truth, random, error = view(), np.random.default_rng(3), 0.004
    ground = ground_of(truth, MANY)
    fits = [Calibration.fit(MANY + random.normal(0.0, error, MANY.shape), ground) for _ in range(100)]
    on_ground = np.sqrt((fits[0].error_at(MANY, np.array([error, error])) ** 2).mean())

    assert np.mean([fit.residual_picture for fit in fits]) == pytest.approx(error, rel=0.1)
    assert np.mean([fit.residual_metres for fit in fits]) == pytest.approx(on_ground, rel=0.1)
    assert np.mean([fit.residual_pixels(1000, 1000) for fit in fits]) == pytest.approx(error * 2**0.5 * 1000, rel=0.1)


def test_leaving_each_pair_out_gives_what_a_fit_without_it_gives() -> None:
    truth, error = view(), np.random.default_rng(2).normal(0.0, 0.0005, MANY.shape)
    ground, image = ground_of(truth, MANY), MANY + error
    others = [np.arange(len(MANY)) != index for index in range(len(MANY))]
    fits = [Calibration.fit(image[picked], ground[picked]) for picked in others]
    slowly = [np.linalg.norm(fit.to_ground(image[[index]]) - ground[index]) for index, fit in enumerate(fits)]

    np.testing.assert_allclose(Calibration.fit(image, ground).left_out_metres, slowly, rtol=0.05)


@pytest.mark.parametrize("wrong", range(16))
def test_a_pair_that_was_entered_wrongly_stands_out_among_many(wrong: int) -> None:
    ground = ground_of(view(), MANY)
    ground[wrong] += [3.0, -2.0]
    left_out = Calibration.fit(MANY, ground).left_out_metres

    assert left_out[wrong] > 3.0
    assert left_out[wrong] > 3 * np.median(left_out)


def test_a_pixel_far_away_is_worth_more_metres_than_one_close_by() -> None:
    calibration = Calibration.fit(SPREAD, ground_of(view(pitch=15.0), SPREAD))
    close, far = calibration.error_at(np.array([[0.5, 0.95], [0.5, 0.5]]), np.array([0.002, 0.005]))

    assert 0.0 < close < far / 4


def test_the_error_on_the_ground_is_what_scattered_feet_show() -> None:
    calibration, random = Calibration.fit(SPREAD, ground_of(view(), SPREAD)), np.random.default_rng(1)
    foot, error = np.array([[0.4, 0.7]]), np.array([0.002, 0.004])
    scattered = calibration.to_ground(foot + random.normal(0.0, error, (20_000, 2)))

    assert calibration.error_at(foot, error)[0] == pytest.approx(np.sqrt(scattered.var(axis=0).sum()), rel=0.03)


def test_pixels_per_metre_are_those_of_a_pinhole_camera() -> None:
    calibration = Calibration.fit(SPREAD, ground_of(view(height=8.0, pitch=30.0, field_of_view=60.0), SPREAD))
    depth = 8.0 / np.sin(np.radians(30.0))
    focal_pixels = 0.5 / np.tan(np.radians(30.0)) * 1920
    row = np.array([[0.5, 0.5], [0.0, 0.5], [0.9, 0.5]])

    found = calibration.pixels_per_metre(row, 1920, 1080)

    np.testing.assert_allclose(found, focal_pixels / depth, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "ground", "message", "pairs"),
    [
        (FLAT[:3], FLAT[:3] * [9, -9], "at least 4", ()),
        ([*FLAT[:3], FLAT[0]], FLAT * [9, -9], "same place in the picture", (0, 3)),
        (FLAT, [*(FLAT[:3] * [9, -9]), FLAT[1] * [9, -9]], "same place on the ground", (1, 3)),
        ([*FLAT[:3], [np.nan, 0.9]], FLAT * [9, -9], "finite", (3,)),
        ([[0.1, 0.1], [0.3, 0.3], [0.7, 0.7], [0.1, 0.9]], [[0, 0], [3, 3], [7, 7], [0, 9]], "one line", ()),
        ([[0.1, 0.1], [0.3, 0.3], [0.7, 0.7], [0.1, 0.9]], FLAT * [9, -9], "one line", ()),
        (FLAT, [[0, 0], [3, 3], [7, 7], [0, 9]], "one line", ()),
        ([[0.1, 0.5], [0.3, 0.5], [0.7, 0.5], [0.9, 0.5], [0.5, 0.5]], SPREAD[:5] * [9, -9], "one line", ()),
        (FLAT, FLAT[[1, 0, 2, 3]] * [9, -9], "horizon", None),
        (FLAT, FLAT * 9, "mirrored", ()),
    ],
)
def test_pairs_that_make_no_calibration_are_refused_with_the_reason(
    image: object, ground: object, message: str, pairs: tuple[int, ...] | None
) -> None:
    with pytest.raises(CalibrationError, match=message) as caught:
        Calibration.fit(np.array(image, dtype=float), np.array(ground, dtype=float))
    assert caught.value.pairs == pairs or (pairs is None and caught.value.pairs)


@given(st.integers(0, 10_000))
def test_whatever_is_entered_is_either_refused_or_keeps_its_own_pairs_before_the_horizon(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(4, 9))
    image, ground = random.random((count, 2)), random.normal(0.0, 20.0, (count, 2))
    try:
        calibration = Calibration.fit(image, ground)
    except CalibrationError:
        return

    assert np.isfinite(calibration.to_ground(image)).all()
    assert np.isfinite(calibration.to_image(ground)).all()


def test_the_same_pairs_make_equal_calibrations() -> None:
    ground = ground_of(view(), SPREAD)

    assert Calibration.fit(SPREAD, ground) == Calibration.fit(SPREAD, ground)
    assert (
        len({Calibration.fit(SPREAD, ground), Calibration.fit(SPREAD, ground), Calibration.fit(SPREAD, ground * 2)})
        == 2
    )
