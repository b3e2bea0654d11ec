from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.domain.effort import DecodeEffort, Level

# --- effort


def play(effort: DecodeEffort, seconds: float, *, rate: int = 10, gop: int = 10, start: float = 0.0) -> list[str]:
    """What was decoded of a stream whose pictures are a key picture, then P and unreferenced b in turn."""
    decoded = []
    for number in range(round(seconds * rate)):
        kind = "I" if number % gop == 0 else "P" if number % 2 == 0 else "b"
        if effort.wants(key=kind == "I", reference=kind != "b", now=start + number / rate):
            decoded.append(kind)
    return decoded


@pytest.mark.parametrize(
    ("rate", "level", "kinds"),
    [
        (0.5, Level.KEYS, {"I"}),
        (1.0, Level.KEYS, {"I"}),
        (5.0, Level.REFERENCES, {"I", "P"}),
        (9.0, Level.ALL, {"I", "P", "b"}),
    ],
)
def test_no_more_is_decoded_than_is_wanted(rate: float, level: Level, kinds: set[str]) -> None:
    effort = DecodeEffort(rate)
    play(effort, 10.0)

    decoded = play(effort, 20.0, start=10.0)

    assert effort.level is level
    assert set(decoded[1:]) == kinds
    assert len(decoded) >= rate * 20


@pytest.mark.parametrize("start", [0.0, 0.7, 1.9])
def test_key_pictures_every_two_seconds_suffice_for_a_heartbeat_of_two_seconds(start: float) -> None:
    effort, chance = DecodeEffort(0.5), Random(1)
    levels = set()
    for number in range(3000):
        now = start + number / 25 + chance.uniform(-0.02, 0.02)
        effort.wants(key=number % 50 == 49, reference=True, now=now)
        if number > 12 * 25:
            levels.add(effort.level)

    assert levels == {Level.KEYS}


def test_a_burst_is_not_taken_for_a_rate() -> None:
    effort = DecodeEffort(0.5)
    for number in range(600):
        effort.wants(key=number in (10, 11), reference=True, now=number / 10)

    assert effort.level is Level.REFERENCES


def test_nothing_is_left_out_before_the_camera_is_known() -> None:
    assert len(play(DecodeEffort(0.5), 9.9)) == 99


def test_when_more_is_wanted_again_decoding_resumes_at_a_key_picture() -> None:
    effort = DecodeEffort(0.5)
    play(effort, 15.0)

    effort.want(9.0)

    assert not effort.wants(key=False, reference=True, now=15.1)
    assert effort.wants(key=True, reference=True, now=15.2)
    assert effort.wants(key=False, reference=False, now=15.3)


def test_a_camera_without_key_pictures_is_decoded_whole() -> None:
    effort = DecodeEffort(0.5)
    play(effort, 1.0, rate=10, gop=10)
    for number in range(500):
        effort.wants(key=False, reference=True, now=1.0 + number / 10)

    assert effort.level is Level.REFERENCES
    assert effort.wants(key=False, reference=True, now=60.0)


def test_of_stills_no_more_than_twice_the_wanted_rate_is_decoded() -> None:
    effort = DecodeEffort(5.0)

    decoded = sum(effort.wants(key=True, reference=False, now=number / 25) for number in range(250))

    assert 50 <= decoded <= 100


pictures = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 5)), max_size=200)


@given(pictures, st.floats(0.1, 30))
def test_every_key_picture_is_decoded_and_nothing_after_a_gap_in_the_references(
    steps: list[tuple[bool, bool, float]], rate: float
) -> None:
    effort, now, intact = DecodeEffort(rate), 0.0, True
    for key, reference, elapsed in steps:
        now += elapsed
        wanted = effort.wants(key=key, reference=reference or key, now=now)
        assert wanted or not key
        intact = key or (intact and (wanted or not reference))
        assert intact or not wanted


# --- crop


@pytest.mark.parametrize(
    ("crop", "size", "pixels"),
    [
        (WHOLE, (640, 360), (0, 0, 640, 360)),
        (WHOLE, (641, 361), (0, 0, 640, 360)),
        (Crop(0.5, 0.5, 0.5, 0.5), (640, 360), (320, 180, 320, 180)),
        (Crop(1 / 3, 0, 1 / 3, 1), (960, 200), (320, 0, 320, 200)),
        (Crop(0.999, 0.999, 0.001, 0.001), (64, 64), (62, 62, 2, 2)),
    ],
)
def test_a_crop_in_pixels(crop: Crop, size: tuple[int, int], pixels: tuple[int, int, int, int]) -> None:
    assert crop.pixels(*size) == pixels


@pytest.mark.parametrize(
    "sides", [(0, 0, 0, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 1, 1), (1, 0, 1, 1), (0, 0, 1, float("nan"))]
)
def test_a_crop_outside_the_picture_is_refused(sides: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="crop"):
        Crop(*sides)


@given(st.integers(2, 5000), st.integers(2, 5000), st.integers(1, 6), st.integers(1, 6))
def test_the_tiles_of_a_mosaic_are_even_and_do_not_overlap(width: int, height: int, columns: int, rows: int) -> None:
    taken = set()
    for row in range(rows):
        for column in range(columns):
            left, top, wide, high = Crop(column / columns, row / rows, 1 / columns, 1 / rows).pixels(width, height)
            assert not any(side % 2 for side in (left, top, wide, high))
            assert 0 <= left < left + wide <= width
            assert 0 <= top < top + high <= height
            taken.add((left, top, wide, high))
    if min(width // columns, height // rows) >= 4:
        for one in taken:
            for other in taken - {one}:
                apart = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
                assert apart or one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
