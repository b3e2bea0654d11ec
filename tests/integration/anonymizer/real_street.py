"""Real pixels: the sample video's street without people, the people in it, and whether they can still be recognised."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.evidence import LearningRules
from anonymizer.domain.frame import Frame, MaskedFrame, Planes, Size
from anonymizer.domain.redactor import RedactionRules
from anonymizer.domain.silhouette import PALETTE
from anonymizer.domain.verdict import ObjectClass, Verdict

VIDEOS = (
    Path("data/samples/pets09-s2l1.avi"),
    Path(__file__).parents[3].parent / "shared" / "data" / "pets09-s2l1" / "video.avi",
)
SIZE = Size(384, 288)
PERIOD = 0.2
"""Seconds between two frames of the sequences that the tests make."""
RULES = RedactionRules(
    learning=LearningRules(quiet_seconds=6.0, returned_seconds=4.0, relearn_seconds=1800.0, overtaken_seconds=60.0)
)
"""The product's, with shorter waits."""
LEARNED = 40
"""Frames after which an empty street is known."""
RECOGNISABLE = 0.5
_NOISE = 1.5


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody of the sample video.

    Attributes:
        cut: I420 planes of the box, luma rows x columns even.
        mask: bool, of the luma's shape: his own pixels.
    """

    cut: Planes
    mask: np.ndarray

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])


@dataclasses.dataclass(frozen=True)
class Box:
    """Where somebody is; pixels."""

    left: int
    top: int
    person: Person

    @property
    def area(self) -> tuple[slice, slice]:
        rows, columns = self.person.mask.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)

    def corners(self) -> tuple[float, float, float, float]:
        rows, columns = self.area
        return (
            columns.start / SIZE.width, rows.start / SIZE.height, columns.stop / SIZE.width, rows.stop / SIZE.height,
        )  # fmt: skip


def video() -> Path | None:
    """The first of the places where it may lie."""
    return next((path for path in VIDEOS if path.exists()), None)


def read(path: Path, *, first: int = 0, last: int = 400, step: int = 2) -> list[Planes]:
    """Frames of the video at half its size."""
    found = []
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            if number >= last:
                break
            if number >= first and number % step == 0:
                small = picture.reformat(SIZE.width, SIZE.height, "yuv420p")
                found.append(Planes.from_bytes(small.to_ndarray().tobytes(), SIZE))
    return found


def empty_street(frames: list[Planes]) -> Planes:
    """What is seen most of the time."""
    chosen = frames[::4]
    return Planes(
        *(
            np.median(np.stack([getattr(each, name) for each in chosen]), axis=0).astype(np.uint8)
            for name in ("luma", "blue", "red")
        )
    )


def people_in(frame: Planes, street: Planes, *, least_height: int = 26) -> list[Box]:
    """Those who stand out of the street, large enough to be recognised."""
    strange = (cv2.absdiff(frame.luma, street.luma) > 28).astype(np.uint8)
    joined = cv2.morphologyEx(strange, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for label, (x, y, width, height, area) in enumerate(statistics.tolist()):
        left, top = x & ~1, y & ~1  # chroma has half the resolution
        is_somebody = label and height >= least_height and width >= 8 and area > 0.35 * width * height
        if not is_somebody:
            continue
        rows, columns = slice(top, top + (height + 2 & ~1)), slice(left, left + (width + 2 & ~1))
        if rows.stop > SIZE.height or columns.stop > SIZE.width:
            continue
        half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
        cut = Planes(frame.luma[rows, columns], frame.blue[half], frame.red[half])
        found.append(Box(left, top, Person(cut, labels[rows, columns] == label)))
    return found


class Camera:
    """Makes the frames of one optic, five per second."""

    def __init__(self, street: Planes, *, seed: int = 1, period: float = PERIOD) -> None:
        self.street = street
        self.period = period
        self._rng = np.random.default_rng(seed)
        self._count = 0

    def take(self, *boxes: Box, light: float = 1.0, shift: int = 0, sway: float = 0.0) -> Frame:
        """The next frame, with these people in it."""
        planes: list[npt.NDArray[np.float32]] = [
            np.roll(plane, shift // part, axis=1).astype(np.float32) for plane, part in self._planes()
        ]
        for box in boxes:
            rows, columns = box.area
            half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
            offset = float(self._rng.normal(0, sway)) if sway else 0.0
            cut, mask = _moved(box.person.cut.luma, offset), _moved(box.person.mask, offset)
            planes[0][rows, columns] = np.where(mask > 0.5, cut, planes[0][rows, columns])
            small = box.person.mask[::2, ::2]
            for plane, colour in zip(planes[1:], (box.person.cut.blue, box.person.cut.red), strict=True):
                plane[half] = np.where(small, colour, plane[half])
        noise = self._rng.normal(0, _NOISE, planes[0].shape)
        whole: list[npt.NDArray[Any]] = [planes[0] * light + noise, *planes[1:]]
        return self.of(Planes(*(np.clip(np.rint(plane), 16, 235).astype(np.uint8) for plane in whole)))

    def of(self, planes: Planes) -> Frame:
        """These planes as the next frame."""
        number, self._count = self._count, self._count + 1
        return Frame(number, number * self.period, planes)

    def _planes(self) -> tuple[tuple[np.ndarray, int], ...]:
        return (self.street.luma, 1), (self.street.blue, 2), (self.street.red, 2)


def _moved(image: np.ndarray, offset: float) -> np.ndarray:
    matrix = np.array([[1, 0, offset], [0, 1, 0]], np.float32)
    rows, columns = image.shape
    return cv2.warpAffine(image.astype(np.float32), matrix, (columns, rows), borderMode=cv2.BORDER_REPLICATE)


def verdict(frame: Frame, *boxes: Box, score: float = 0.6) -> Verdict:
    """What a detector says that sees exactly these people."""
    return Verdict(
        frame.sequence,
        np.array([box.corners() for box in boxes], np.float32).reshape(-1, 4),
        np.full(len(boxes), ObjectClass.PERSON, np.int16),
        np.full(len(boxes), score, np.float32),
    )


def is_shown(masked: MaskedFrame, frame: Frame, box: Box) -> bool:
    """Whether the fine detail of somebody's own pixels can be found again where the masked picture is no solid fill."""
    before, after = _detail(frame.planes.luma, box), _detail(masked.planes.luma, box)
    inner = cv2.erode(box.person.mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(np.bool_)
    # The upper half: head and shoulders.
    inner[box.person.height // 2 :] = False
    inner &= ~_filled(masked, box)
    if np.count_nonzero(inner) < 20 or before[inner].std() < 2 or after[inner].std() < 0.3:
        return False
    return float(np.corrcoef(before[inner], after[inner])[0, 1]) > RECOGNISABLE


def _filled(masked: MaskedFrame, box: Box) -> np.ndarray:
    """Which pixels of the box have the colour of a fill."""
    rows, columns = box.area
    half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
    blue, red = (np.repeat(np.repeat(plane[half], 2, 0), 2, 1) for plane in (masked.planes.blue, masked.planes.red))
    colours = np.stack([masked.planes.luma[box.area], blue, red], axis=2)
    filled = np.zeros(colours.shape[:2], np.bool_)
    for fill in np.unique(PALETTE, axis=0):
        filled |= (colours == fill).all(axis=2)
    return filled


def _detail(luma: np.ndarray, box: Box) -> np.ndarray:
    wide = luma[box.area].astype(np.float32)
    return wide - np.asarray(cv2.GaussianBlur(wide, (0, 0), 2), np.float32)
