"""Rows of the MOTChallenge format (MOT15): ``frame,id,left,top,width,height,conf,x,y,z``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackedBox:
    """A tracked object in one frame.

    Attributes:
        track: the detector's random track id.
        left: of the box, as a share of the picture's width.
        top: as a share of the picture's height.
        width: as a share of the picture's width.
        height: as a share of the picture's height.
        score: from 0 to 1.
    """

    track: int
    left: float
    top: float
    width: float
    height: float
    score: float


class MotRows:
    """Formats the rows of one file; tracks are numbered from 1 in the order in which they appear.

    Args:
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._numbers: dict[int, int] = {}

    @property
    def tracks(self) -> int:
        """How many tracks there were so far."""
        return len(self._numbers)

    def row(self, frame: int, box: TrackedBox) -> str:
        """One row, without the end of line; the world coordinates, which are not known, are -1.

        Args:
            frame: number of the frame, from 1.
            box: what was seen in it.
        """
        number = self._numbers.setdefault(box.track, len(self._numbers) + 1)
        # The format counts pixels from 1: the top left one is (1, 1).
        left, top = box.left * self._width + 1, box.top * self._height + 1
        width, height = box.width * self._width, box.height * self._height
        return f"{frame},{number},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{box.score:.4f},-1,-1,-1"
