"""YOLOv8: one row of a matrix per coordinate and class, one column per anchor point, boxes already in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.domain.heads.interface import (
    MOST_CANDIDATES,
    Axes,
    HeadParameters,
    Outputs,
    allowed_columns,
    corners,
    read_frame,
    settle,
    strongest,
)

if TYPE_CHECKING:
    from detector.domain.detections import Detections
    from detector.domain.preprocessing import Placement


class YoloV8Head:
    """Reads `predictions` (N x (4 + C) x A): centre x, centre y, width, height in network pixels, then C scores 0..1.

    This is the form in which YOLOv8 and its successors with the same head are exported, without suppression in the
    graph. A network that also finds keypoints or masks has more rows or a second output and is not taken. Of the
    classes in the allow-list an anchor point has the best: that it looks still more like a chair hides no person.
    """

    def __init__(self, parameters: HeadParameters) -> None:
        self.outputs: dict[str, Axes] = {"predictions": (None, 4 + len(parameters.classes), None)}
        self._overlap = parameters.overlap
        self._columns, self._classes = allowed_columns(parameters.classes)

    def decode(self, outputs: Outputs, frame: int, placement: Placement, threshold: float) -> Detections:
        """See Head.decode."""
        (predictions,) = read_frame(outputs, self.outputs, frame)
        class_scores = predictions[4 + self._columns]
        scores = class_scores.max(axis=0)
        found = (scores >= threshold).nonzero()[0]
        found = found[strongest(scores[found], MOST_CANDIDATES)]
        classes = self._classes[class_scores[:, found].argmax(axis=0)]
        return settle(corners(predictions[:4, found].T), scores[found], classes, placement, self._overlap)
