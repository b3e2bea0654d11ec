from __future__ import annotations

import numpy as np
import pytest

from detector.domain.inputs import Batch, ColourInput, Fitting, NetworkInput, PlanarInput
from detector.domain.preprocessing import Placement, Planes

RED = (81, 90, 240)
"""Y, Cb, Cr of pure red in limited range (ITU-R BT.601-7, table 3, rounded)."""


def frame(width: int, height: int, colour: tuple[int, int, int]) -> Planes:
    luma, blue, red = colour
    quarter = width * height // 4
    return Planes.unpack(width, height, bytes([luma] * quarter * 4 + [blue] * quarter + [red] * quarter))


def packed(network: NetworkInput, frames: list[Planes], placement: Placement) -> Batch:
    """The frames in a batch that holds something else before: nothing of it may stay."""
    batch = np.full((len(frames), *network.shape(placement)), 7, dtype=network.dtype)
    network.pack(frames, placement, batch)
    return batch


def test_planes_fill_a_planar_input_each_in_its_channel() -> None:
    batch = packed(PlanarInput(32 * 64), [frame(4, 4, (200, 90, 160))], Placement(4, 4, 64, 32))

    assert batch.dtype == np.uint8
    assert [np.unique(channel).tolist() for channel in batch[0]] == [[200], [90], [160]]


@pytest.mark.parametrize(("blue_first", "expected"), [(False, [255, 0, 0]), (True, [0, 0, 255])])
def test_red_is_in_the_channel_of_red(*, blue_first: bool, expected: list[int]) -> None:
    network = ColourInput(64, 32, blue_first=blue_first)
    batch = packed(network, [frame(8, 8, RED)], network.place(8, 8))

    assert batch.dtype == np.float32
    assert batch.shape == (1, 3, 32, 64)
    assert batch.flags.c_contiguous
    np.testing.assert_allclose(batch.mean(axis=(0, 2, 3)), expected, atol=2)


def test_channels_last_have_the_same_values() -> None:
    planes = [frame(8, 8, RED), frame(8, 8, (16, 128, 128))]
    first, last = (
        ColourInput(64, 32, scale=(1.0, 0.5, 2.0)),
        ColourInput(64, 32, scale=(1.0, 0.5, 2.0), channels_first=False),
    )
    placement = first.place(8, 8)

    assert last.axes == (None, 32, 64, 3)
    np.testing.assert_array_equal(
        packed(first, planes, placement).transpose(0, 2, 3, 1), packed(last, planes, placement)
    )


def test_a_value_is_the_pixel_less_the_mean_times_the_scale() -> None:
    white = frame(8, 8, (235, 128, 128))
    network = ColourInput(32, 32, mean=(55.0, 155.0, 255.0), scale=(0.5, 0.01, 1.0))
    batch = packed(network, [white], network.place(8, 8))

    np.testing.assert_allclose(batch.mean(axis=(0, 2, 3)), [100.0, 1.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_the_input_has_the_type_of_the_card(dtype: str) -> None:
    network = ColourInput(32, 32, dtype=dtype)
    batch = packed(network, [frame(8, 8, (235, 128, 128))], network.place(8, 8))

    assert batch.dtype.name == network.dtype == dtype
    assert np.unique(batch).tolist() == [255]


@pytest.mark.parametrize(
    ("fitting", "rows"),
    [
        (Fitting.STRETCH, slice(0, 64)),
        (Fitting.LETTERBOX_CENTRE, slice(16, 48)),
        (Fitting.LETTERBOX_CORNER, slice(0, 32)),
    ],
)
def test_the_picture_lies_where_the_placement_says_and_bars_are_padded(fitting: Fitting, rows: slice) -> None:
    network = ColourInput(64, 64, fitting=fitting, padding=114)
    batch = packed(network, [frame(128, 64, (235, 128, 128))], network.place(128, 64))
    expected = np.full((64, 64), 114.0)
    expected[rows] = 255.0

    np.testing.assert_allclose(batch[0], np.broadcast_to(expected, (3, 64, 64)))
