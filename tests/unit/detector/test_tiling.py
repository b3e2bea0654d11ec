from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import model
from detector.domain.detections import Detections, ObjectClass
from detector.domain.preprocessing import Planes
from detector.domain.tiling import MOST_IN_A_ROW, Attention, Tile, Tiling, merge, tiles_of
from tests.unit.detector.networks import one_person, put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EVEN = st.integers(16, 1920).map(lambda half: half * 2)
Box = tuple[float, float, float, float]


def black(width: int, height: int) -> Planes:
    return Planes(*(np.zeros((height // step, width // step), np.uint8) for step in (1, 2, 2)))


def with_square(left: int, top: int, width: int = 256, height: int = 256) -> Planes:
    planes = black(width, height)
    planes.luma[top : top + 16, left : left + 16] = 255
    return planes


def detections(
    *boxes: Box, score: float | Sequence[float] = 0.8, classes: ObjectClass | Sequence[ObjectClass] = ObjectClass.PERSON
) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.broadcast_to(np.array(score, np.float32), count).copy(),
        np.broadcast_to(np.array(classes, np.int16), count).copy(),
    )


@pytest.mark.parametrize(
    ("width", "height", "in_a_row"), [(768, 576, 1), (960, 540, 1), (1536, 1152, 2), (1920, 1080, 3), (7680, 4320, 4)]
)
def test_a_frame_has_as_many_tiles_as_its_width_asks_for(width: int, height: int, in_a_row: int) -> None:
    assert len(tiles_of(width, height, 768)) == (in_a_row**2 if in_a_row > 1 else 0)


@given(EVEN, EVEN, st.integers(64, 1024))
def test_tiles_cover_the_frame_and_no_more_in_even_pixels(width: int, height: int, tile_width: int) -> None:
    tiles = tiles_of(width, height, tile_width)
    covered = np.zeros((height, width), np.bool_)
    for tile in tiles:
        assert not any(value % 2 for value in (tile.left, tile.top, tile.width, tile.height))
        assert tile.left >= 0 <= tile.top
        assert tile.left + tile.width <= width
        assert tile.top + tile.height <= height
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True

    assert len(tiles) <= MOST_IN_A_ROW**2
    assert len({(tile.width, tile.height) for tile in tiles}) <= 1
    assert covered.all() or not tiles


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_is_small_is_whole_in_one_of_the_tiles(x: float, y: float) -> None:
    tiles = tiles_of(1920, 1080, 768)
    # The overlap is a fifth of a tile; rounding to even pixels may take two of it.
    width, height = tiles[0].width / 5 - 4, tiles[0].height / 5 - 4
    left, top = x * (1920 - width), y * (1080 - height)

    assert any(
        tile.left <= left
        and left + width <= tile.left + tile.width
        and tile.top <= top
        and top + height <= tile.top + tile.height
        for tile in tiles
    )


def test_a_tile_is_cut_out_of_all_three_planes() -> None:
    planes = Planes(
        np.arange(64, dtype=np.uint8).reshape(8, 8),
        np.arange(16, dtype=np.uint8).reshape(4, 4),
        np.arange(16, 32, dtype=np.uint8).reshape(4, 4),
    )
    part = Tile(2, 4, 4, 2).cut(planes)

    assert part.luma.tolist() == [[34, 35, 36, 37], [42, 43, 44, 45]]
    assert (part.blue.tolist(), part.red.tolist()) == ([[9, 10]], [[25, 26]])


LEFT, RIGHT = Tile(0, 0, 60, 100), Tile(40, 0, 60, 100)


def merged(whole: Detections, left: Detections, right: Detections) -> list[list[float]]:
    found = merge(whole, [(LEFT, left), (RIGHT, right)], 100, 100, 0.5)
    assert (np.diff(found.scores) <= 0).all()
    return [list(map(float, box)) for box in sorted(found.boxes.tolist())]


def test_boxes_of_a_tile_are_moved_to_where_it_lies() -> None:
    assert merged(detections(), detections((1, 2, 11, 22)), detections((10, 2, 20, 22))) == [
        [1, 2, 11, 22],
        [50, 2, 60, 22],
    ]


def test_what_two_looks_saw_is_one_object_with_the_better_score() -> None:
    found = merge(detections((45, 10, 55, 40), score=0.4), [(RIGHT, detections((5, 10, 15, 40)))], 100, 100, 0.5)

    np.testing.assert_allclose(found.scores, [0.8])


def test_a_box_cut_at_a_border_gives_way_to_the_whole_one() -> None:
    # 44..64: the left tile ends at 60 and sees the most of it, with the better score.
    cut, entire = detections((44, 10, 60, 40), score=0.9), detections((4, 10, 24, 40), score=0.6)

    assert merged(detections(), cut, entire) == [[44, 10, 64, 40]]


def test_a_box_cut_at_a_border_stays_when_nothing_covers_it() -> None:
    of_another_class = detections((4, 10, 24, 40), classes=ObjectClass.CAR)

    assert len(merged(detections(), detections((44, 10, 60, 40)), of_another_class)) == 2
    assert len(merged(detections(), detections((44, 10, 60, 40)), detections())) == 1


def test_the_edge_of_the_frame_cuts_nothing() -> None:
    entire = detections((0, 0, 30, 100), score=0.3)

    # At the frame's own edges a part is as good as a whole: neither covers the other by half.
    assert len(merged(entire, detections((0, 0, 10, 100)), detections())) == 2


def test_without_tiles_nothing_changes() -> None:
    whole = detections((1, 2, 3, 4))

    assert merge(whole, [], 100, 100, 0.5) is whole


def test_a_frame_is_looked_at_whole_or_in_all_tiles_as_told() -> None:
    assert Attention(Tiling.OFF, 128).choose(black(256, 256)) == ()
    assert Attention(Tiling.GRID, 128).choose(black(256, 256)) == tiles_of(256, 256, 128)
    assert Attention(Tiling.MOTION, 256).choose(black(256, 256)) == ()


def test_in_the_first_frame_every_tile_is_new() -> None:
    assert Attention(Tiling.MOTION, 128).choose(black(256, 256)) == tiles_of(256, 256, 128)


def test_while_nothing_moves_the_tiles_have_their_turns() -> None:
    subject = Attention(Tiling.MOTION, 128)
    subject.choose(black(256, 256))
    turns = [subject.choose(black(256, 256)) for _ in range(4)]

    assert [len(tiles) for tiles in turns] == [1] * 4
    assert {tile for tiles in turns for tile in tiles} == set(tiles_of(256, 256, 128))


@pytest.mark.parametrize(("left", "top", "position"), [(8, 8, 0), (240, 8, 1), (8, 240, 2), (240, 240, 3)])
def test_where_something_moves_is_looked_at(left: int, top: int, position: int) -> None:
    subject = Attention(Tiling.MOTION, 128)
    tiles = tiles_of(256, 256, 128)
    subject.choose(black(256, 256))
    chosen = subject.choose(with_square(left, top))

    assert tiles[position] in chosen
    assert len(chosen) <= 2


def test_where_somebody_stands_still_is_looked_at_again_and_again() -> None:
    subject = Attention(Tiling.MOTION, 128)
    last = tiles_of(256, 256, 128)[3]
    for _ in range(6):
        subject.choose(black(256, 256))
        subject.found(detections((235, 230, 245, 250), (10, 10, 20, 20), score=(0.5, 0.1)), 0.3)

        chosen = subject.choose(black(256, 256))
        assert last in chosen
        assert len(chosen) <= 2


def test_another_size_of_picture_begins_anew() -> None:
    subject = Attention(Tiling.MOTION, 128)
    for width in (256, 256):
        subject.choose(black(width, 256))

    assert subject.choose(black(512, 256)) == tiles_of(512, 256, 128)


async def test_the_model_looks_at_the_whole_frame_and_at_its_tiles(tmp_path: Path) -> None:
    # It sees a person of 16 x 8 pixels at the same place of every 64 x 64 picture.
    put(tmp_path, one_person(0.9))
    loaded = model.load("own", tmp_path, threads=1)
    tiles = tiles_of(256, 256, 128)
    (alone,) = await loaded.analyze([black(256, 256)])
    (closely,) = await loaded.analyze([black(256, 256)], [Attention(Tiling.GRID, 128)])
    (whole,) = await loaded.analyze([black(256, 256)], [Attention(Tiling.OFF, 128)])
    loaded.close()

    scale = tiles[0].width / 64
    expected = [[96.0, 112.0, 160.0, 144.0]] + [
        [tile.left + 24 * scale, tile.top + 28 * scale, tile.left + 40 * scale, tile.top + 36 * scale] for tile in tiles
    ]
    np.testing.assert_allclose(sorted(closely.boxes.tolist()), sorted(expected), rtol=1e-4)
    np.testing.assert_allclose(whole.boxes, alone.boxes)
