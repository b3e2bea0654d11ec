"""The motion gate: a still scene is analysed at a heartbeat, a moving one at the policy's rate.

The gate only ever lowers the rate. It looks at a small luma plane and compares it with a slowly learned background. How
much each cell of it changes without anything moving, a leaf, a flag, noise in the dark, is learned too, for each cell
by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from camera_gateway.domain.luma import Luma, shrunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Cells = npt.NDArray[np.uint8]
"""(SMALL_HEIGHT, SMALL_WIDTH) uint8, 1 where motion counts and 0 where it does not."""

SMALL_WIDTH, SMALL_HEIGHT = 160, 90
"""Size at which motion is looked for: a person 40 pixels high in a 720p picture still covers 5 rows here."""

LEAST_CHANGE: Final = 6.0
"""Luma by which a cell must differ from the background at least: what coding does to a still picture is less."""
LARGEST_NOISE: Final = 6.0
"""Mean absolute difference that is taken for noise at most: what differs by 30 is motion whatever was learned, so that
a path on which people walk all day is not learned as a tree."""
NOISE_FACTOR: Final = 5.0
"""By how much a change must exceed its cell's noise; four standard deviations of normally distributed noise."""
BACKGROUND_SECONDS: Final = 10.0
"""Time constant of the background: whoever walks a tenth of a body's width in a second still stands out."""
NOISE_SECONDS: Final = 20.0
"""Time constant of the noise."""
NEIGHBOURHOOD: Final = (3, 3)
_START_NOISE: Final = 1.5


class MotionGate:
    """Decides for each picture of one optic whether it is worth an analysis. Times are monotonic seconds.

    Args:
        rate: analysed frames per second of a moving scene.
        heartbeat: analysed frames per second of a still scene; at most ``rate``.
        hold: seconds that a scene counts as moving after the last motion.
        min_cells: how many of nine neighbouring cells must change for motion: a raindrop changes one or two.
        watched: where motion counts; None: everywhere.
    """

    def __init__(
        self,
        rate: float,
        heartbeat: float = 0.5,
        hold: float = 3.0,
        min_cells: int = 4,
        watched: Cells | None = None,
    ) -> None:
        self._interval = 1.0 / rate
        self._still_interval = max(1.0 / heartbeat, self._interval)
        self._hold = hold
        self._min_cells = min_cells
        self._watched = watched
        self._background: Any = None
        self._noise: Any = np.full((SMALL_HEIGHT, SMALL_WIDTH), _START_NOISE, np.float32)
        self._looked = float("-inf")
        self._due = float("-inf")
        self._still_due = float("-inf")
        self.moving_until = float("-inf")
        """Until when the scene counts as moving."""
        self.held_back = 0
        """Pictures that were due at the policy's rate and were held back because nothing moved."""

    def due(self, now: float) -> bool:
        """Whether a picture at ``now`` can be wanted at all; asks for no pixels, so that most need no scaling."""
        # A tenth of the interval of grace: a 25/s camera read at 5/s must not fall to every sixth frame by jitter.
        return now >= self._due - 0.1 * self._interval

    def pass_over(self, now: float) -> None:
        """A picture that was due is left out without a look at it; the next is due an interval later."""
        # Steps of the interval keep the mean rate; a gap longer than one interval is not caught up.
        self._due = (self._due if now - self._due < self._interval else now) + self._interval

    def admit(self, luma: Luma, now: float) -> bool:
        """Whether the picture is to be analysed; call only when `due`.

        Args:
            luma: (height, width) uint8, the Y plane at any size.
            now: monotonic seconds.
        """
        self.pass_over(now)
        if self._moves(luma, now):
            self.moving_until = now + self._hold
        if now >= self.moving_until and now < self._still_due:
            self.held_back += 1
            return False
        self._still_due = now + self._still_interval
        return True

    def _moves(self, luma: Luma, now: float) -> bool:
        current: Any = cv2.GaussianBlur(shrunk(luma, SMALL_WIDTH, SMALL_HEIGHT), (3, 3), 0).astype(np.float32)
        elapsed, self._looked = now - self._looked, now
        if self._background is None:
            self._background = current
            return True
        difference: Any = current - self._background
        # A cloud, or the camera's exposure, shifts all cells alike; every sixteenth tells by how much.
        change = cv2.absdiff(difference, np.full_like(difference, np.median(difference[::4, ::4])))
        threshold = np.maximum(self._noise * NOISE_FACTOR, LEAST_CHANGE)
        changed = (change > threshold).view(np.uint8)
        if self._watched is not None:
            changed &= self._watched
        together = cv2.boxFilter(changed, cv2.CV_8U, NEIGHBOURHOOD, normalize=False)
        self._learn(current, change, elapsed)
        return int(together.max()) >= self._min_cells

    def _learn(self, current: Any, change: Any, elapsed: float) -> None:
        share = 1.0 - float(np.exp(-elapsed / BACKGROUND_SECONDS))
        cv2.accumulateWeighted(current, self._background, share)
        # Cut off at twice what is known: whoever passes now and then leaves no trace; what moves half of the time does.
        usual = np.minimum(change, 2.0 * self._noise + 0.5)
        cv2.accumulateWeighted(usual, self._noise, 1.0 - float(np.exp(-elapsed / NOISE_SECONDS)))
        np.minimum(self._noise, LARGEST_NOISE, out=self._noise)


def watched_cells(ignored: Iterable[Sequence[tuple[float, float]]]) -> Cells | None:
    """Where motion counts, when it does not inside the ``ignored`` polygons; None: everywhere.

    Args:
        ignored: corners as (x, y), normalised to the optic's picture, origin top left.
    """
    polygons = [np.array(corners, np.float64) * (SMALL_WIDTH, SMALL_HEIGHT) for corners in ignored]
    if not polygons:
        return None
    cells = np.ones((SMALL_HEIGHT, SMALL_WIDTH), np.uint8)
    for polygon in polygons:
        # Cells are filled by their corner indices: half a cell back, so that the polygon's own edge is a cell's edge.
        cv2.fillPoly(cells, [np.round(polygon - 0.5).astype(np.int32)], (0,))
    return cells
