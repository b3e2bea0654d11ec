"""RT-DETR and D-FINE: a fixed number of queries, each at most one object, nothing to suppress.

Zhao et al.: DETRs Beat YOLOs on Real-time Object Detection, 2024; Peng et al.: D-FINE, 2024. Their outputs are alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.domain.heads.interface import (
    Axes,
    HeadParameters,
    Outputs,
    Values,
    allowed_columns,
    corners,
    read_frame,
    settle,
)

if TYPE_CHECKING:
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Placement


class DetrHead:
    """Reads `logits` (N x Q x C) and `boxes` (N x Q x 4): centre x, centre y, width, height as shares of the input.

    The score of a class is the sigmoid of its logit; of the classes in the allow-list a query has the best. This is the
    export without the post-processor, whose second input would be the size of the picture.
    """

    def __init__(self, parameters: HeadParameters) -> None:
        self.outputs: dict[str, Axes] = {"logits": (None, None, len(parameters.classes)), "boxes": (None, None, 4)}
        self._columns, self._classes = allowed_columns(parameters.classes)

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """See Head.decode.

        Raises:
            ValueError: also when there are not as many boxes as queries.
        """
        logits, shares = read_frame(outputs, self.outputs, frame)
        if len(logits) != len(shares):
            raise ValueError(f"{len(shares)} boxes for {len(logits)} queries")
        class_logits = logits[:, self._columns]
        best = class_logits.argmax(axis=1)
        scores = _sigmoid(class_logits.max(axis=1))
        found = np.flatnonzero(scores >= threshold)
        size = np.array([placement.network_width, placement.network_height] * 2, dtype=np.float32)
        boxes = corners(shares[found] * size)
        return settle(boxes, scores[found], self._classes[best[found]], placement, None)


def _sigmoid(logits: Values) -> Values:
    # The tangent does not overflow where the exponential of a very small logit would.
    shares: Values = np.float32(0.5) + np.float32(0.5) * np.tanh(logits * np.float32(0.5))
    return shares
