"""Which values a network's tensors hold over a city's own pictures: the ranges that an int8 card needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from detector.catalogue import store
from detector.catalogue.errors import CatalogueError
from detector.catalogue.quantisation import calibrate, write_ranges
from detector.domain.preprocessing import Planes

if TYPE_CHECKING:
    from detector.catalogue.cards import Card


def ranges_of(card: Card, directory: Path, pictures: Path, skip: Sequence[str]) -> str:
    """The file of ranges of a float32 model.

    Args:
        card: of the model.
        directory: where its file lies.
        pictures: a folder of pictures in any format that OpenCV reads; other files in it are passed over.
        skip: see calibrate.

    Raises:
        CatalogueError: see store.read_model; also when the folder holds no picture.
    """
    data = store.read_model(card, directory)
    batches = list(_batches(card, pictures))
    if not batches:
        raise CatalogueError(f"{pictures} holds no picture that can be read")
    return write_ranges(calibrate(data, batches, skip))


def _batches(card: Card, pictures: Path) -> Iterator[npt.NDArray[Any]]:
    network = card.input.build()
    for path in sorted(pictures.iterdir()) if pictures.is_dir() else ():
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        i420 = cv2.cvtColor(np.ascontiguousarray(picture[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        placement = network.place(width, height)
        batch = np.empty((1, *network.shape(placement)), dtype=network.dtype)
        network.pack([Planes.unpack(width, height, i420.tobytes())], placement, batch)
        yield batch
