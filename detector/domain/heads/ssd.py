"""SSD: corrections to fixed default boxes on several maps (Liu et al.: SSD: Single Shot MultiBox Detector, 2016)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.heads.interface import (
    MOST_CANDIDATES,
    AnchorLayout,
    Axes,
    HeadParameters,
    Outputs,
    Values,
    allowed_columns,
    corners,
    read_frame,
    settle,
    strongest,
)

if TYPE_CHECKING:
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Placement

CENTRE_VARIANCE: Final = 0.1
SIZE_VARIANCE: Final = 0.2
"""By these the training of the authors' implementation, and of all that follow it, scales the corrections."""
_LARGEST_LOGARITHM: Final = 10.0
"""Of a size against its default box; no box in the picture comes near, and float32 does not overflow."""


class SsdHead:
    """Reads `logits` (N x A x C, class 0 is the background) and `boxes` (N x A x 4).

    The score of a class is the softmax over all C. `boxes` are corrections: centre x and y in widths and
    heights of the default box over CENTRE_VARIANCE, logarithms of width and height against it over SIZE_VARIANCE. The
    default boxes come map by map, row by row, in each cell first the squares, then per ratio the lying and the
    upright one. Suppression, within each class, is done here and not in the graph: a default box may be a person and
    a bicycle.

    Raises:
        ValueError: no anchor layout, or a class of the allow-list in place of the background.
    """

    def __init__(self, parameters: HeadParameters) -> None:
        if parameters.anchors is None:
            raise ValueError("head ssd needs its anchors")
        if parameters.classes[0]:
            raise ValueError("class score 0 of head ssd is the background")
        self._defaults = default_boxes(parameters.anchors)
        count = len(self._defaults)
        self.outputs: dict[str, Axes] = {"logits": (None, count, len(parameters.classes)), "boxes": (None, count, 4)}
        self._overlap = parameters.overlap
        self._columns, self._classes = allowed_columns(parameters.classes)

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """See Head.decode."""
        logits, corrections = read_frame(outputs, self.outputs, frame)
        probabilities = _softmax(logits)[:, self._columns]
        anchors, columns = np.nonzero(probabilities >= threshold)
        scores = probabilities[anchors, columns]
        best = strongest(scores, MOST_CANDIDATES)
        anchors, columns, scores = anchors[best], columns[best], scores[best]
        defaults, corrected = self._defaults[anchors], corrections[anchors]
        centres = defaults[:, :2] + corrected[:, :2] * np.float32(CENTRE_VARIANCE) * defaults[:, 2:]
        growth = np.minimum(corrected[:, 2:] * np.float32(SIZE_VARIANCE), _LARGEST_LOGARITHM)
        shares = np.concatenate([centres, defaults[:, 2:] * np.exp(growth)], axis=1)
        size = np.array([placement.network_width, placement.network_height] * 2, dtype=np.float32)
        return settle(corners(shares * size), scores, self._classes[columns], placement, self._overlap)


def default_boxes(layout: AnchorLayout) -> Values:
    """Centre x, centre y, width, height of every default box as shares of the input; float32, A x 4."""
    maps = []
    for number, (columns, rows) in enumerate(layout.maps):
        scale, larger = layout.scales[number], layout.scales[number + 1]
        sides = [(scale, scale), (math.sqrt(scale * larger),) * 2]
        for ratio in layout.ratios[number]:
            stretch = math.sqrt(ratio)
            sides += [(scale * stretch, scale / stretch), (scale / stretch, scale * stretch)]
        row, column = np.mgrid[:rows, :columns].reshape(2, -1)
        centres = np.stack([(column + 0.5) / columns, (row + 0.5) / rows], axis=1)
        maps.append(np.concatenate([centres.repeat(len(sides), axis=0), np.tile(sides, (len(centres), 1))], axis=1))
    return np.concatenate(maps).astype(np.float32)


def _softmax(logits: Values) -> Values:
    powers: Values = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Values = powers / powers.sum(axis=1, keepdims=True)
    return shares
