"""CenterNet: an object is the peak of its class's heat map (Zhou, Wang, Krähenbühl: Objects as Points, 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

from detector.domain.detections import Detections, ObjectClass, ordered, suppress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.preprocessing import Placement

MOST_PEAKS: Final = 600
"""Peaks kept before suppression: three for each of the 200 people of a crowded frame."""

_NEIGHBOURS: Final = np.ones((3, 3), dtype=np.uint8)


class CenterNetHead:
    """Reads `heat` (N x C x h x w, scores 0..1) and `box` (N x 4 x h x w).

    `box` holds the distances, in network pixels, from the cell's corner to the left, top, right and bottom edge,
    as in the TTFNet variant of the head.
    """

    outputs: tuple[str, ...] = ("heat", "box")

    def __init__(self, classes: Sequence[ObjectClass]) -> None:
        self._classes = np.array(classes, dtype=np.int16)

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.float32]], frame: int, placement: Placement, threshold: float
    ) -> Detections:
        """See Head.decode.

        Raises:
            ValueError: the heat map has another number of classes than the card.
        """
        heat, distances = outputs["heat"][frame], outputs["box"][frame]
        if len(heat) != len(self._classes):
            raise ValueError(f"{len(heat)} heat maps for {len(self._classes)} classes")
        channels, rows, columns = _peaks(heat, threshold)
        scores = heat[channels, rows, columns]
        if len(scores) > MOST_PEAKS:
            best = np.argpartition(-scores, MOST_PEAKS)[:MOST_PEAKS]
            channels, rows, columns, scores = channels[best], rows[best], columns[best], scores[best]
        stride_x = placement.network_width / heat.shape[2]
        stride_y = placement.network_height / heat.shape[1]
        edges = distances[:, rows, columns].T
        centres = np.stack([columns * stride_x, rows * stride_y], axis=1).astype(np.float32)
        boxes = np.concatenate([centres - edges[:, :2], centres + edges[:, 2:]], axis=1)
        found = ordered(placement.to_frame(boxes), scores, self._classes[channels])
        has_area = (found.boxes[:, 2] > found.boxes[:, 0]) & (found.boxes[:, 3] > found.boxes[:, 1])
        return suppress(found.where(has_area))


def _peaks(
    heat: npt.NDArray[np.float32], threshold: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Channel, row and column of every cell at or above the threshold that no neighbour exceeds."""
    channels: list[npt.NDArray[np.intp]] = []
    places: list[npt.NDArray[np.intp]] = []
    for channel, scores in enumerate(heat):
        if scores.max() < threshold:
            continue
        highest = cv2.dilate(scores, _NEIGHBOURS)
        found = np.argwhere((scores >= threshold) & (scores >= highest))
        channels.append(np.full(len(found), channel, dtype=np.intp))
        places.append(found)
    if not places:
        nowhere = np.empty(0, dtype=np.intp)
        return nowhere, nowhere, nowhere
    cells = np.concatenate(places)
    return np.concatenate(channels), cells[:, 0], cells[:, 1]
