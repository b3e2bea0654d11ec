"""What becomes of pictures before they are coded, and where in a clip a client begins."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.local.camera.clip import AccessUnit, Clip
from mesh.local.camera.effects import EFFECTS, Effect, painter
from mesh.local.camera.frames import grid, thinned

RANDOM = np.random.default_rng(1)
STREET = RANDOM.integers(30, 200, (36, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2)), (9, (3, 3))]
)
def test_grid_of_a_mosaic(count: int, expected: tuple[int, int]) -> None:
    assert grid(count) == expected


@pytest.mark.parametrize("effect", [effect for effect in Effect if effect not in {Effect.NONE, Effect.RESIZE}])
def test_effects_change_the_second_picture_and_not_its_form(effect: Effect) -> None:
    paint = painter(effect)
    paint(STREET)
    other = np.ascontiguousarray(STREET[:, ::-1])
    painted = paint(other)

    assert painted.shape == other.shape
    assert painted.dtype == np.uint8
    assert not np.array_equal(painted, other)


def test_freezers_of_two_videos_are_independent() -> None:
    first, second = painter(Effect.FREEZE), painter(Effect.FREEZE)
    first(STREET)

    assert np.array_equal(second(STREET // 2), STREET // 2)
    assert np.array_equal(first(STREET // 2), STREET)


def test_every_effect_has_its_fault() -> None:
    assert set(EFFECTS.values()) == set(Effect) - {Effect.NONE}


@given(st.integers(6, 30), st.integers(1, 30))
def test_thinned_pictures_are_as_many_as_wanted_at_most(file_rate: int, rate: int) -> None:
    frame: Any = None
    times = [number * 90_000 // file_rate for number in range(10 * file_rate)]
    kept = [ticks for _, ticks in thinned(((frame, ticks) for ticks in times), Fraction(rate))]

    assert set(kept) <= set(times)
    assert kept[0] == 0
    assert 0.9 * min(rate, file_rate) <= len(kept) / 10 <= min(rate, file_rate) * 1.01 + 0.1


def _clip(keys: list[bool]) -> Clip:
    clip = Clip("h264", width=64, height=36, frame_ticks=100)
    clip.extend(AccessUnit(b"", 100 * number, is_key) for number, is_key in enumerate([True, *keys]))
    return clip


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 10_000))
def test_a_client_begins_with_the_key_frame_before(keys: list[bool], ticks: int) -> None:
    clip = _clip(keys)
    index = clip.key_before(ticks)
    position = ticks % clip.duration

    assert clip.complete
    assert clip.units[index].is_key
    assert clip.units[index].timestamp <= position
    assert not any(unit.is_key for unit in clip.units[index + 1 :] if unit.timestamp <= position)
