"""Small things far away: what tiles add in recall, and what they cost.

Four moments of the video stand side by side in one frame of twice its width and height, so that everything is half as
large in it as in the network's usual view. What the model sees of each moment alone, surely enough for an event, is the
truth; how much of it is seen again in the large frame is the recall. It says nothing of what the model never sees.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.pictures import Picture, pictures
from bench.results import Result
from detector import model as models
from detector.catalogue.cards import DEFAULT_MODEL
from detector.domain.detections import Boxes, Detections, overlaps
from detector.domain.preprocessing import Plane, Planes
from detector.domain.tiling import Attention, Tiling

FRAMES = 24
STEP = 5
_MATCH = 0.5
"""Intersection over union from which on two boxes are the same object, as MOTChallenge has it."""


def measure(video: Path, directory: Path) -> list[Result]:
    """Recall and processor time of each way to look, beside the whole frame alone."""
    model = models.load(DEFAULT_MODEL, directory, threads=1)
    taken = pictures(video, 4 * FRAMES, STEP)
    walls = [(_wall(moments), _truth(model, moments)) for moments in _moments(taken)]
    whole_recall, whole_time = _look(model, walls, Tiling.OFF)
    results = []
    for tiling in (Tiling.GRID, Tiling.MOTION):
        recall, seconds = _look(model, walls, tiling)
        what = f"far away, {tiling.value}"
        results += [
            Result(
                f"{what}: recall", f"{100 * recall:.1f} %", f"{100 * whole_recall:.1f} %, whole", recall / whole_recall
            ),
            Result(
                f"{what}: one frame, processor time",
                f"{1000 * seconds:.0f} ms",
                f"{1000 * whole_time:.0f} ms, whole",
                seconds / whole_time,
            ),
        ]
    model.close()
    return results


def _moments(taken: Sequence[Picture]) -> Iterator[Sequence[Picture]]:
    """Four streams that begin at different times, frame by frame."""
    length = len(taken) // 4
    for position in range(length):
        yield [taken[position + quarter * length] for quarter in range(4)]


def _wall(moments: Sequence[Picture]) -> Planes:
    planes = [picture.planes() for picture in moments]
    return Planes(
        _four([each.luma for each in planes]),
        _four([each.blue for each in planes]),
        _four([each.red for each in planes]),
    )


def _four(parts: Sequence[Plane]) -> Plane:
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


def _truth(model: models.Model, moments: Sequence[Picture]) -> Boxes:
    found = []
    for position, picture in enumerate(moments):
        (seen,) = model.look([picture.planes()])
        corner = np.array([position % 2 * picture.width, position // 2 * picture.height] * 2, np.float32)
        found.append(_sure(seen, model) + corner)
    return np.concatenate(found)


def _sure(detections: Detections, model: models.Model) -> Boxes:
    return detections.boxes[detections.scores >= model.card.thresholds.events]


def _look(model: models.Model, walls: Sequence[tuple[Planes, Boxes]], tiling: Tiling) -> tuple[float, float]:
    """The share of the truth that is seen again as surely, and seconds a frame, the median."""
    attention = Attention(tiling)
    seen, there, spent = 0, 0, []
    for planes, truth in walls:
        started = time.thread_time()
        (found,) = model.look([planes], [attention])
        spent.append(time.thread_time() - started)
        boxes = _sure(found, model)
        there += len(truth)
        seen += int((overlaps(truth, boxes) >= _MATCH).any(axis=1).sum()) if len(boxes) else 0
    return seen / max(1, there), statistics.median(spent)
