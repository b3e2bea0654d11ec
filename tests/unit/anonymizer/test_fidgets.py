from __future__ import annotations

import cv2
import numpy as np
import pytest

from anonymizer.domain import comparison
from anonymizer.domain.comparison import Look
from anonymizer.domain.frame import Frame, Planes
from anonymizer.domain.grid import Grid
from anonymizer.domain.redactor import Redactor
from tests.unit.anonymizer.streets import PERIOD, SIZE, Person, Street, verdict

GRID = Grid(SIZE)
HEAD = Person(56, 24, 16, 16)


def scene() -> np.ndarray:
    """An even street, and somebody with rims in it."""
    luma = np.full((SIZE.height, SIZE.width), 110.0, np.float32)
    luma[HEAD.area] = cv2.GaussianBlur(
        np.random.default_rng(4).integers(20, 230, (16, 16)).astype(np.float32), (0, 0), 1
    )
    return luma


def swayed(luma: np.ndarray, pixels: float) -> np.ndarray:
    matrix = np.array([[1, 0, pixels], [0, 1, 0]], np.float32)
    return cv2.warpAffine(luma, matrix, (SIZE.width, SIZE.height), borderMode=cv2.BORDER_REPLICATE)


def planes(luma: np.ndarray) -> Planes:
    grey = np.full((SIZE.height // 2, SIZE.width // 2), 128, np.uint8)
    return Planes(np.clip(np.rint(luma), 16, 235).astype(np.uint8), grey, grey.copy())


def fidgets(average: np.ndarray, live: np.ndarray) -> np.ndarray:
    return comparison.fidgeting(GRID, Look.at(GRID, planes(live)), planes(average).luma)


def test_half_a_pixel_of_sway_is_noticed_where_there_are_rims_and_nowhere_else() -> None:
    found = fidgets(scene(), swayed(scene(), 0.5))

    expected = np.zeros(GRID.shape, np.bool_)
    expected[3:5, 7:9] = True
    assert np.count_nonzero(found[expected]) >= 3
    assert not found[~expected].any()


@pytest.mark.parametrize("noise", [1.0, 2.5, 4.0])
def test_noise_is_not_noticed(noise: float) -> None:
    rng = np.random.default_rng(1)

    found = fidgets(scene(), scene() + rng.normal(0, noise, (SIZE.height, SIZE.width)))

    assert found.mean() < 0.03


def test_more_light_is_not_noticed() -> None:
    assert not fidgets(scene(), scene() + 12).any()


def test_somebody_who_sways_by_a_third_of_a_pixel_and_is_never_detected_is_not_learned() -> None:
    rng, redactor, base = np.random.default_rng(5), Redactor(), Street(noise=0.0)
    street = base.frame().planes.luma.astype(np.float32) * 0.05 + 104
    street[HEAD.area] = scene()[HEAD.area]
    sway, learned = 0.0, np.zeros(GRID.shape, np.bool_)
    for number in range(300):
        sway = 0.8 * sway + 0.6 * rng.normal(0, 0.35)
        live = planes(swayed(street, sway) + rng.normal(0, 1, street.shape))
        frame = Frame(number, number * PERIOD, live)
        redactor.redact(frame, verdict(frame))
        assert redactor._plate is not None
        learned |= redactor._plate.known

    assert not learned[3:5, 7:9].any()
    assert learned.mean() > 0.5
