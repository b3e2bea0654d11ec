"""What is written over a masked picture: zones, labels of tracks and where they go, and the word for a missing verdict.

All of it comes from the configuration and the verdict, none of it from a picture.
"""

from __future__ import annotations

import collections
import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.privacy import Polygon
from anonymizer.domain.verdict import Followed

UNVERDICTED: Final = "unverdicted"
BRIGHT: Final = 235
DARK: Final = 16
"""Luma of the letters, and of their rim."""
ZONE_COLOUR: Final = (180, 165, 90)
"""Luma, Cb, Cr of a zone's outline."""
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT: Final = 22.0
"""Pixels of a capital letter at scale 1."""
_LETTER_SHARE: Final = 1 / 64
"""Height of a letter as a share of the picture's."""
_SMALLEST_LETTER: Final = 7.0
_HEADING_SECONDS: Final = 1.0
"""How far back a direction looks."""
_STANDS: Final = 0.12
"""Shares of its own longer side per second below which a thing has no direction."""
_LONGEST_ARROW: Final = 1.0
"""Of the thing's longer side."""
_LABELS: Final = 1000

_INK: Final = 90
"""Of 255, from which on a pixel belongs to a letter."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class NamedZone:
    """An area of the picture.

    Attributes:
        name: what people call it.
        polygon: its outline.
    """

    name: str
    polygon: Polygon


def label_of(track: int) -> str:
    """Three figures for a track: enough to tell those in one picture apart, and nothing to find one again by."""
    return f"{track % _LABELS:03d}"


@dataclass(slots=True)
class Annotator:
    """Writes over the pictures of one optic.

    Attributes:
        zones: outlined in every picture.
    """

    zones: Sequence[NamedZone] = ()
    _paths: dict[int, collections.deque[tuple[float, Point]]] = field(default_factory=dict)

    def annotate(self, planes: Planes, followed: Sequence[Followed], now: float, *, verdicted: bool) -> None:
        """Writes into these planes, which are a masked picture's.

        Args:
            planes: changed in place.
            followed: of the verdict of this frame.
            now: its capture time in seconds.
            verdicted: whether there is one.
        """
        height, width = planes.luma.shape
        letter = max(_SMALLEST_LETTER, height * _LETTER_SHARE)
        for zone in self.zones:
            _outline(planes, zone.polygon)
            corner = zone.polygon[np.argmin(zone.polygon.sum(axis=1))]
            _write(planes.luma, zone.name, (corner[0] * width + 3, corner[1] * height + letter + 4), letter)
        usable = [each for each in followed if np.isfinite(each.box).all()]
        self._paths = {each.track: self._path(each, now) for each in usable}
        for each in usable:
            left, top, right, bottom = np.clip(each.box, -1, 2) * np.array([width, height] * 2)
            _write(planes.luma, label_of(each.track), (left, top - 4), letter)
            heading = self._heading(each.track, (width, height))
            _arrow(planes.luma, ((left + right) / 2, bottom), heading, max(right - left, bottom - top))
        if not verdicted:
            _write(planes.luma, UNVERDICTED, (6, letter + 6), letter)

    def _path(self, of: Followed, now: float) -> collections.deque[tuple[float, Point]]:
        path = self._paths.get(of.track) or collections.deque()
        path.append((now, ((of.box[0] + of.box[2]) / 2, of.box[3])))
        while len(path) > 1 and not 0 <= now - path[0][0] <= _HEADING_SECONDS:
            path.popleft()
        return path

    def _heading(self, track: int, extent: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Pixels per second."""
        (first, begin), (last, end) = self._paths[track][0], self._paths[track][-1]
        if last - first < _HEADING_SECONDS / 2:
            return np.zeros(2)
        heading: npt.NDArray[np.float64] = (np.array(end) - np.array(begin)) * np.array(extent) / (last - first)
        return heading


def _outline(planes: Planes, polygon: Polygon) -> None:
    for plane, level in zip((planes.luma, planes.blue, planes.red), ZONE_COLOUR, strict=True):
        corners = np.rint(np.clip(polygon, -1, 2) * np.array(plane.shape[::-1])).astype(np.int32)
        cv2.polylines(plane, [corners], isClosed=True, color=(level,), thickness=1)


def _write(luma: Plane, text: str, at: tuple[float, float], letter: float) -> None:
    """Bright letters with a dark rim; `at`: their lower left corner, moved where they would leave the picture."""
    letters, rim = _letters(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode(), letter)
    height, width = (min(side, limit) for side, limit in zip(letters.shape, luma.shape, strict=True))
    left = int(np.clip(at[0], 0, luma.shape[1] - width))
    top = int(np.clip(at[1] - height, 0, luma.shape[0] - height))
    target = luma[top : top + height, left : left + width]
    target[rim[:height, :width]] = DARK
    target[letters[:height, :width]] = BRIGHT


@functools.lru_cache(maxsize=2 * _LABELS)
def _letters(text: str, letter: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The pixels of a text, and those of its rim. Drawn apart, so that nothing of what lies below shows through."""
    scale = letter / _FONT_HEIGHT
    (width, height), below = cv2.getTextSize(text, _FONT, scale, 1)
    canvas = np.zeros((height + below + 4, width + 4), np.uint8)
    cv2.putText(canvas, text, (2, height + 2), _FONT, scale, (255,), 1, cv2.LINE_AA)
    letters = (canvas > _INK).view(np.uint8)
    rim = cv2.dilate(letters, np.ones((3, 3), np.uint8))
    return letters.view(np.bool_), np.asarray(rim, np.uint8).view(np.bool_)


def _arrow(luma: Plane, start: Point, heading: npt.NDArray[np.float64], side: float) -> None:
    speed = float(np.hypot(*heading))
    if side <= 0 or speed < _STANDS * side:
        return
    end = np.array(start) + heading * min(1.0, _LONGEST_ARROW * side / speed)
    points = [tuple(int(np.clip(value, -4096, 8192)) for value in point) for point in (start, end)]
    for level, thickness in ((DARK, 3), (BRIGHT, 1)):
        cv2.arrowedLine(luma, points[0], points[1], (level,), thickness, cv2.LINE_8, 0, 0.3)
