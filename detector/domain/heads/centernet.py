"""CenterNet: an object is the peak of its class's heat map (Zhou, Wang, Krähenbühl: Objects as Points, 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

from detector.domain.heads.interface import (
    MOST_CANDIDATES,
    Axes,
    HeadParameters,
    Outputs,
    allowed_columns,
    read_frame,
    settle,
    strongest,
)

if TYPE_CHECKING:
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Placement

_NEIGHBOURS: Final = np.ones((3, 3), dtype=np.uint8)


class CenterNetHead:
    """Reads `heat` (N x C x h x w, scores 0..1) and `box` (N x 4 x h x w).

    `box` holds the distances, in network pixels, from the cell's corner to the left, top, right and bottom edge,
    as in the TTFNet variant of the head. Scores above the threshold that a neighbour exceeds are no peaks.
    """

    def __init__(self, parameters: HeadParameters) -> None:
        self.outputs: dict[str, Axes] = {
            "heat": (None, len(parameters.classes), None, None),
            "box": (None, 4, None, None),
        }
        self._overlap = parameters.overlap
        self._channels, self._classes = allowed_columns(parameters.classes)

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """See Head.decode."""
        heat, distances = read_frame(outputs, self.outputs, frame)
        heat = heat if len(heat) == len(self._channels) else heat[self._channels]
        channels, rows, columns = _peaks(heat, threshold)
        scores = heat[channels, rows, columns]
        best = strongest(scores, MOST_CANDIDATES)
        channels, rows, columns, scores = channels[best], rows[best], columns[best], scores[best]
        stride_x = placement.network_width / heat.shape[2]
        stride_y = placement.network_height / heat.shape[1]
        edges = distances[:, rows, columns].T
        centres = np.stack([columns * stride_x, rows * stride_y], axis=1).astype(np.float32)
        boxes = np.concatenate([centres - edges[:, :2], centres + edges[:, 2:]], axis=1)
        return settle(boxes, scores, self._classes[channels], placement, self._overlap)


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
        found = np.flatnonzero((scores >= threshold) & (scores >= highest))
        channels.append(np.full(len(found), channel, dtype=np.intp))
        places.append(found)
    if not places:
        nowhere = np.empty(0, dtype=np.intp)
        return nowhere, nowhere, nowhere
    rows, columns = np.divmod(np.concatenate(places), heat.shape[2])
    return np.concatenate(channels), rows, columns
