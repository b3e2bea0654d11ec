from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.flow_field import MainCourse, expansion


@given(st.floats(-2.0, 2.0), st.floats(-5.0, 5.0), st.integers(3, 40), st.integers(0, 1000))
def test_the_divergence_of_a_field_is_recovered(rate: float, speed: float, number: int, seed: int) -> None:
    positions = np.random.default_rng(seed).uniform(-10.0, 10.0, (number, 2))
    found = expansion(positions, rate * (positions - [1.0, 2.0]) + [speed, 7.0])

    assert found is not None
    assert found.divergence == pytest.approx(2 * rate, abs=1e-6)
    assert found.error == pytest.approx(0.0, abs=1e-5)


def test_people_who_run_one_way_are_aligned_and_people_who_run_apart_are_not() -> None:
    positions = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])
    apart, along = expansion(positions, positions * 3.0), expansion(positions, np.full((4, 2), 3.0))

    assert apart is not None
    assert along is not None
    assert (apart.divergence, apart.alignment) == pytest.approx((6.0, 0.0))
    assert (along.divergence, along.alignment) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_two_people_have_no_divergence(number: int) -> None:
    assert expansion(np.ones((number, 2)), np.ones((number, 2))) is None


def test_people_in_one_place_have_no_divergence() -> None:
    assert expansion(np.ones((5, 2)), np.ones((5, 2))) is None


def test_the_error_of_a_divergence_is_what_scattered_velocities_show() -> None:
    random = np.random.default_rng(4)
    positions = random.uniform(-5.0, 5.0, (12, 2))
    found = [expansion(positions, positions + random.normal(0.0, 0.8, positions.shape)) for _ in range(400)]
    known = [item for item in found if item is not None]

    assert np.mean([item.divergence for item in known]) == pytest.approx(2.0, abs=0.02)
    assert np.mean([item.error for item in known]) == pytest.approx(np.std([i.divergence for i in known]), rel=0.1)


def test_the_main_course_is_that_of_most_and_fades() -> None:
    course = MainCourse(60.0)
    for _ in range(100):
        course.step(0.2, np.array([(1.2, 0.1), (1.4, -0.1), (0.9, 0.0), (-1.0, 0.0)]))
    learned = course.person_seconds
    course.step(60.0, np.zeros((0, 2)))

    ways = np.array([(2.0, 0.0), (-2.0, 0.0), (0.0, 2.0)])
    assert course.angles_to(ways) == pytest.approx([0.0, 180.0, 90.0], abs=2.0)
    assert course.alignment == pytest.approx(0.5, abs=0.01)
    assert course.person_seconds == pytest.approx(learned / math.e)
    course.clear()
    assert (course.person_seconds, course.alignment) == (0.0, 0.0)
