from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from detector import providers
from detector.session import MOST_SIZES, Session
from tests.unit.detector.networks import weighing_network


def opened(batch: int | str = "batch") -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(weighing_network(batch), providers=["CPUExecutionProvider"])


def pictures(frames: int, height: int = 4, width: int = 6) -> np.ndarray[Any, Any]:
    return np.random.default_rng(frames).integers(0, 256, (frames, 3, height, width), dtype=np.uint8)


def run(session: Session, images: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    session.input(len(images), images.shape[1:], "uint8")[:] = images
    return {name: values.copy() for name, values in session.run(len(images), images.shape[1:]).items()}


@pytest.mark.parametrize("batch", ["batch", 1])
def test_bound_arrays_give_what_an_ordinary_run_gives(batch: int | str) -> None:
    raw = opened(batch)
    session = Session(raw, ["half", "sum"])
    for frames, height in ((1, 4), (3, 4), (2, 4), (1, 8), (3, 4)):
        images = pictures(frames, height)
        plain = [raw.run(["half", "sum"], {"image": image[None]}) for image in images]
        found = run(session, images)

        assert list(found) == ["half", "sum"]
        for position, name in enumerate(found):
            np.testing.assert_array_equal(found[name], np.concatenate([values[position] for values in plain]))


def test_the_same_arrays_serve_every_batch_of_a_size() -> None:
    session = Session(opened(), ["sum"])
    places = set()
    for frames in (4, 1, 3, 4):
        images = pictures(frames)
        places.add(session.input(frames, (3, 4, 6), "uint8").ctypes.data)
        places.add(session.run(frames, images.shape[1:])["sum"].ctypes.data)

    assert len(places) == 2


def test_a_larger_batch_gets_larger_arrays() -> None:
    session = Session(opened(), ["sum"])
    run(session, pictures(1))

    np.testing.assert_array_equal(run(session, pictures(5))["sum"].shape, (5, 1, 4, 6))


def test_no_more_sizes_are_kept_than_may_be() -> None:
    session = Session(opened(), ["sum"])
    for height in range(1, MOST_SIZES + 3):
        run(session, pictures(1, height))

    with pytest.raises(KeyError):
        session.run(1, (3, 1, 6))
    assert session.run(1, (3, MOST_SIZES + 2, 6))["sum"].shape == (1, 1, MOST_SIZES + 2, 6)


def test_nothing_is_kept_after_the_end() -> None:
    session = Session(opened(), ["sum"])
    run(session, pictures(1))
    session.close()

    with pytest.raises(KeyError):
        session.run(1, (3, 4, 6))


class Runtime:
    """What the CUDA runtime answers, on a machine that has none."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.locked: set[int] = set()

    def cudaHostRegister(self, address: Any, size: Any, flags: int) -> int:  # noqa: N802 - CUDA's name
        if not self.status:
            self.locked.add(address.value)
        return self.status

    def cudaHostUnregister(self, address: Any) -> int:  # noqa: N802
        self.locked.remove(address.value)
        return 0


@pytest.mark.parametrize(("status", "locked"), [(0, 2), (2, 0)])
def test_on_a_gpu_the_arrays_are_page_locked_until_they_are_given_back(
    monkeypatch: pytest.MonkeyPatch, status: int, locked: int
) -> None:
    runtime = Runtime(status)
    monkeypatch.setattr(providers, "_cuda_runtime", lambda: runtime)
    session = Session(opened(), ["sum"])
    session.provider = providers.CUDA
    for frames in (1, 3):
        np.testing.assert_array_equal(run(session, pictures(frames))["sum"].shape[0], frames)

        assert len(runtime.locked) == locked
    session.close()

    assert not runtime.locked


def test_without_a_gpu_nothing_is_page_locked() -> None:
    if any(providers.DEVICES.glob("nvidia[0-9]*")):
        pytest.skip("there is a GPU")

    assert not providers.pin(np.zeros(4096, np.uint8))
