from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scripted.crowd_camera import Camera
from bench.scripted.views import SPREAD, ground_of, project, view
from detector.domain import geometry
from detector.domain.calibration import Calibration
from detector.domain.ground_zone import (
    CELL_METRES,
    LEAST_PICTURE_ERROR,
    AreaUnknownError,
    GroundCells,
    GroundZone,
)

CAMERA = Camera()
TEN_BY_TEN = np.array([[-5.0, 12.0], [5.0, 22.0]])
ZONE = GroundZone.survey(CAMERA.zone(TEN_BY_TEN), CAMERA.calibration)


def test_the_area_of_a_zone_is_that_of_its_ground() -> None:
    assert ZONE.area == pytest.approx(100.0, rel=1e-6)
    np.testing.assert_allclose(sorted(ZONE.corners), [(-5, 12), (-5, 22), (5, 12), (5, 22)], atol=1e-6)


@given(st.floats(0.0, 360.0), st.floats(-5e5, 5e5))
def test_the_area_does_not_depend_on_where_north_or_the_origin_is(yaw: float, offset: float) -> None:
    corners = np.array([[0.2, 0.9], [0.8, 0.9], [0.7, 0.5], [0.5, 0.6], [0.3, 0.5]])
    plain, turned = view(), view(yaw=yaw)
    areas = [
        GroundZone.survey([(x, y) for x, y in corners], Calibration.fit(SPREAD, ground_of(truth, SPREAD) + shift)).area
        for truth, shift in ((plain, 0.0), (turned, offset))
    ]

    assert areas[0] == pytest.approx(areas[1], rel=1e-4)


def test_the_error_of_an_area_is_what_misplaced_corners_show() -> None:
    random, zone = np.random.default_rng(5), np.array(CAMERA.zone(TEN_BY_TEN))
    areas = []
    for _ in range(2000):
        moved = zone + random.normal(0.0, LEAST_PICTURE_ERROR, zone.shape)
        ground = CAMERA.calibration.to_ground(moved)
        x, y = ground.T
        areas.append(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    assert ZONE.area_error == pytest.approx(np.std(areas), rel=0.1)


def test_a_worse_calibration_makes_an_area_more_uncertain() -> None:
    ground, random = ground_of(view(), SPREAD), np.random.default_rng(2)
    careless = Calibration.fit(SPREAD + random.normal(0.0, 0.006, SPREAD.shape), ground)
    four = Calibration.fit(SPREAD[:4], ground[:4])
    zone = CAMERA.zone(TEN_BY_TEN)

    assert GroundZone.survey(zone, careless).area_error > 2 * ZONE.area_error
    assert GroundZone.survey(zone, four).area_error > 2 * ZONE.area_error


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        (((0.2, 0.9), (0.8, 0.9), (0.8, 0.05), (0.2, 0.05)), "horizon"),
        (((0.2, 0.9), (0.8, 0.9), (0.8, 0.178), (0.2, 0.178)), "uncertain by"),
        (((0.2, 0.9), (0.8, 0.5), (0.8, 0.9), (0.2, 0.5)), "crosses itself"),
        (((0.5, 0.8), (0.52, 0.8), (0.52, 0.82), (0.5, 0.82)), "is the least"),
    ],
)
def test_an_area_that_the_calibration_cannot_give_is_refused_with_the_reason(
    zone: tuple[tuple[float, float], ...], reason: str
) -> None:
    flat = Calibration.fit(SPREAD, ground_of(view(pitch=12.0), SPREAD))

    with pytest.raises(AreaUnknownError, match=reason):
        GroundZone.survey(zone, flat)


def test_a_dent_is_no_crossing() -> None:
    dented = [(0.2, 0.9), (0.8, 0.9), (0.8, 0.5), (0.5, 0.85), (0.2, 0.5)]

    assert GroundZone.survey(dented, CAMERA.calibration).area > 10.0


@given(st.integers(0, 10_000))
def test_many_points_are_inside_where_one_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners, points = random.uniform(0.0, 10.0, (5, 2)), random.uniform(0.0, 10.0, (50, 2))
    polygon = [(x, y) for x, y in corners.tolist()]

    found = geometry.contains(polygon, points)

    assert found.tolist() == [geometry.inside((x, y), polygon) for x, y in points.tolist()]


def test_a_huge_zone_has_larger_cells_not_more() -> None:
    side = 2000.0
    cells = GroundCells(GroundZone(((0.0, 0.0), (side, 0.0), (side, side), (0.0, side)), side**2, 1.0))

    assert len(cells.presence) < 5000
    assert cells.side > CELL_METRES


def test_a_camera_sees_people_where_they_stand() -> None:
    boxes = CAMERA.boxes(np.array([[0.0, 18.0], [np.nan, np.nan]]), np.zeros(2))
    foot = project(CAMERA.homography, np.array([[0.0, 18.0]]))[0] * [CAMERA.width, CAMERA.height]

    assert boxes[0, 3] == pytest.approx(foot[1])
    assert (boxes[0, 0] + boxes[0, 2]) / 2 == pytest.approx(foot[0])
    assert np.isnan(boxes[1]).all()
