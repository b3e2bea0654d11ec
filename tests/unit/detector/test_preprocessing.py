from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.domain.preprocessing import Placement, Planes


def test_planes_lie_over_the_bytes_of_a_frame() -> None:
    data = bytes(range(6))
    planes = Planes.unpack(2, 2, data)

    assert planes.luma.tolist() == [[0, 1], [2, 3]]
    assert (planes.blue.tolist(), planes.red.tolist()) == ([[4]], [[5]])


@pytest.mark.parametrize(
    ("width", "height", "size"), [(2, 2, 5), (2, 2, 7), (0, 2, 0), (-2, 2, 6), (3, 2, 9), (2, 3, 9)]
)
def test_a_frame_that_is_not_i420_is_refused(width: int, height: int, size: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        Planes.unpack(width, height, bytes(size))


@pytest.mark.parametrize(
    ("frame", "network"),
    [((768, 576), (512, 384)), ((640, 480), (512, 384)), ((1920, 1080), (576, 320)), ((1080, 1920), (320, 576))],
)
def test_the_network_keeps_the_proportions_of_usual_frames(frame: tuple[int, int], network: tuple[int, int]) -> None:
    placement = Placement.fit(*frame, 512 * 384)

    assert (placement.network_width, placement.network_height) == network


@given(st.integers(2, 4000), st.integers(2, 4000))
def test_any_frame_gets_a_network_of_whole_steps_inside_the_budget(width: int, height: int) -> None:
    placement = Placement.fit(width, height, 512 * 384)

    assert placement.network_width % 32 == placement.network_height % 32 == 0
    assert 32 * 32 <= placement.network_width * placement.network_height <= 512 * 384 * 1.04
    if 0.5 < width / height < 2:
        stretch = placement.network_width / placement.network_height / (width / height)
        assert abs(math.log(stretch)) < 0.08


def test_the_whole_frame_comes_back_from_the_whole_network() -> None:
    placement = Placement(768, 576, 512, 384)
    boxes = np.array([[0, 0, 512, 384], [-5, -5, 600, 400]], np.float32)

    np.testing.assert_allclose(placement.to_frame(boxes), [[0, 0, 768, 576]] * 2)


@given(
    frame=st.tuples(st.integers(2, 4000), st.integers(2, 4000)),
    network=st.tuples(st.integers(32, 1280), st.integers(32, 1280)),
    centred=st.booleans(),
)
def test_a_letterbox_touches_two_edges_and_gives_the_whole_frame_back(
    frame: tuple[int, int], network: tuple[int, int], *, centred: bool
) -> None:
    placement = Placement.letterbox(*frame, *network, centred=centred)
    width, height = placement.picture
    inside = [placement.left, placement.top, placement.left + width, placement.top + height]

    assert min(placement.left + placement.right, placement.top + placement.bottom) == 0
    assert placement.right - placement.left in ({0, 1} if centred else {placement.right})
    assert placement.bottom - placement.top in ({0, 1} if centred else {placement.bottom})
    np.testing.assert_allclose(placement.to_frame(np.array([inside], np.float32)), [[0, 0, *frame]], rtol=1e-5)
