"""Real people: what the masked picture still shows of their heads, by the yardstick of the project's design."""

from __future__ import annotations

import collections
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anonymizer.domain.frame import Frame, Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import ObjectClass, Verdict

DATA = Path(__file__).parents[3].parent / "shared" / "data"
SEQUENCES = {"pets09-s2l1": "video.avi", "tud-campus": "video.mp4"}
Box = tuple[float, float, float, float]


def ground_truth(sequence: str) -> dict[int, list[Box]]:
    people = collections.defaultdict(list)
    for line in (DATA / sequence / "gt.txt").read_text().splitlines():
        number, _, left, top, width, height, confidence, *_ = (float(field) for field in line.split(","))
        if confidence:
            people[int(number)].append((left, top, width, height))
    return people


def detail(luma: np.ndarray) -> np.ndarray:
    wide = luma.astype(np.float32)
    return wide - cv2.GaussianBlur(wide, (0, 0), 2)


def is_exposed(before: np.ndarray, after: np.ndarray, box: Box) -> bool | None:
    """Whether a head can still be recognised; None when it was too small or even before."""
    left, top, width, height = box
    rows = slice(int(max(0, top)), int(min(before.shape[0], top + height / 6)))
    columns = slice(int(max(0, left + 0.2 * width)), int(min(before.shape[1], left + 0.8 * width)))
    first, second = before[rows, columns].ravel(), after[rows, columns].ravel()
    if rows.stop - rows.start < 4 or columns.stop - columns.start < 4 or first.std() < 2:
        return None
    return second.std() >= 0.3 and float(np.corrcoef(first, second)[0, 1]) > 0.5


def verdict_of(kind: str, number: int, people: list[Box], size: Size, rng: np.random.Generator) -> Verdict | None:
    if kind == "off":
        return None
    seen = [box for box in people if rng.random() < 0.7] if kind == "misses three in ten" else []
    boxes = [(x / size.width, y / size.height, (x + w) / size.width, (y + h) / size.height) for x, y, w, h in seen]
    return Verdict(
        number,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(seen), ObjectClass.PERSON, np.int16),
        np.full(len(seen), 0.2, np.float32),
    )


@pytest.mark.parametrize("kind", ["misses three in ten", "sees nobody", "off"])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_of_a_hundred_heads_less_than_one_can_be_recognised(sequence: str, kind: str) -> None:
    path = DATA / sequence / SEQUENCES[sequence]
    if not path.exists():
        pytest.skip(f"the test sequence {sequence} is not on this machine")
    people, redactor, rng = ground_truth(sequence), Redactor(), np.random.default_rng(5)
    heads = exposed = 0
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0), start=1):
            size = Size(picture.width, picture.height)
            planes = Planes.from_bytes(picture.to_ndarray(format="yuv420p").tobytes(), size)
            frame = Frame(number, float(picture.time), planes)
            masked = redactor.redact(frame, verdict_of(kind, number, people[number], size, rng))
            before, after = detail(planes.luma), detail(masked.planes.luma)
            found = [is_exposed(before, after, box) for box in people[number]]
            heads += sum(each is not None for each in found)
            exposed += sum(each is True for each in found)

    assert heads > 300
    assert exposed / heads <= 0.01
