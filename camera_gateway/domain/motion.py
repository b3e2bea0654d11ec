"""The motion gate: a still scene is analysed at a heartbeat, a moving one at the policy's rate.

The gate only ever lowers the rate. It looks at a small luma plane and compares it with a slowly learned background. How
much each cell of it changes without anything moving, a leaf, a flag, noise in the dark, is learned too, for each cell
by itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from camera_gateway.domain.luma import Luma, shrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
LEARN_SECONDS: Final = 1.0
"""Between two pictures from which is learned, on average."""
LONGEST_LEARNING: Final = 2.0
"""Seconds since the last time for which one picture stands at most."""
LOOK_AGAIN: Final = 0.75
"""Share of the time for which a scene counts as moving after which is looked again, on average: see `_wait`."""
LARGEST_STEP: Final = 30.0
"""Difference to the background that is learned as such at most: whoever happens to stand in one of the pictures from
which is learned leaves no trace above `LEAST_CHANGE`."""
GOLDEN_RATIO: Final = 0.6180339887498949
"""Its multiples, less their whole parts, fill the range from 0 to 1 most evenly."""
GRACE: Final = 0.4
"""Share of the interval between two analyses by which a picture may be early."""
NEIGHBOURHOOD: Final = (3, 3)
_START_NOISE: Final = 1.5


class _Scene:
    """What each cell usually shows, and how much it changes without anything moving.

    Args:
        current: (SMALL_HEIGHT, SMALL_WIDTH) uint8, the first picture.
        watched: where motion counts; None: everywhere.
    """

    def __init__(self, current: Any, watched: Cells | None) -> None:
        self._background: Any = current.astype(np.float32)
        self._noise: Any = np.full_like(self._background, _START_NOISE)
        self._watched = watched
        self._ignored = None if watched is None else np.where(watched, 0, 255).astype(np.uint8)
        self._set_bounds()

    def usual(self, current: Any) -> Any:
        """Where ``current`` shows what is usual, uint8, 0 or 255.

        A cloud, or the camera's exposure, shifts all cells alike, and is taken out.
        """
        if shift := round(self._light - cv2.mean(current, self._watched)[0]):
            current = cv2.add(current, _scalar(shift))
        return cv2.inRange(current, self._low, self._high)

    def learn(self, current: Any, elapsed: float) -> None:
        """``elapsed`` seconds after the last time."""
        difference: Any = cv2.subtract(current, self._background, dtype=cv2.CV_32F)
        # The median, so that a lorry does not make noise of all the rest; every sixty-fourth cell tells it.
        few = difference[::8, ::8].ravel()
        few.partition(few.size // 2)
        change: Any = cv2.absdiff(difference, _scalar(few[few.size // 2]))
        # Cut off at twice what is known: whoever passes now and then leaves no trace; what moves half of the time does.
        known: Any = cv2.addWeighted(self._noise, 1.0, self._noise, 1.0, 0.5)
        usual = cv2.min(change, known, dst=change)
        cv2.accumulateWeighted(usual, self._noise, 1.0 - math.exp(-elapsed / NOISE_SECONDS))
        cv2.threshold(self._noise, LARGEST_NOISE, 0.0, cv2.THRESH_TRUNC, dst=self._noise)
        cv2.threshold(difference, LARGEST_STEP, 0.0, cv2.THRESH_TRUNC, dst=difference)
        step: Any = cv2.max(difference, _scalar(-LARGEST_STEP), dst=difference)
        share = 1.0 - math.exp(-min(elapsed, LONGEST_LEARNING) / BACKGROUND_SECONDS)
        cv2.scaleAdd(step, share, self._background, dst=self._background)
        self._set_bounds()

    def _set_bounds(self) -> None:
        self._light = cv2.mean(self._background, self._watched)[0]
        noise: Any = cv2.max(self._noise, _scalar(LEAST_CHANGE / NOISE_FACTOR))
        self._low: Any = cv2.addWeighted(self._background, 1.0, noise, -NOISE_FACTOR, 0.0, dtype=cv2.CV_8U)
        self._high: Any = cv2.addWeighted(self._background, 1.0, noise, NOISE_FACTOR, 0.0, dtype=cv2.CV_8U)
        if self._ignored is not None:
            self._low &= ~self._ignored
            self._high |= self._ignored


def _scalar(value: float) -> Any:
    """OpenCV's Scalar, which its type stubs do not know: four channels, of which the planes here have one."""
    return float(value), 0.0, 0.0, 0.0


class MotionGate:
    """Decides for each picture of one optic whether it is worth an analysis. Times are monotonic seconds.

    Args:
        rate: analysed frames per second of a moving scene.
        heartbeat: analysed frames per second of a still scene; at most ``rate``.
        hold: seconds that a scene counts as moving after motion was seen; looked for anew before it is over.
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
        size = NEIGHBOURHOOD[0] * NEIGHBOURHOOD[1]
        self._calm = 255.0 * (size - min_cells + 0.5) / size
        """A neighbourhood whose mean is below this has so many cells that are not usual; 255 is a usual cell."""
        self._watched = watched
        self._scene: _Scene | None = None
        self._learned = self._learn_due = float("-inf")
        self._waits = 0
        self._look_due = float("-inf")
        self._due = float("-inf")
        self._still_due = float("-inf")
        self.moving_until = float("-inf")
        """Until when the scene counts as moving."""
        self.held_back = 0
        """Pictures that were due at the policy's rate and were held back because nothing moved."""

    def due(self, now: float) -> bool:
        """Whether a picture at ``now`` can be wanted at all; asks for no pixels, so that most need no scaling."""
        # Pictures that come at the policy's rate are early and late by the network's jitter. The mean rate is kept.
        return now >= self._due - GRACE * self._interval

    def pass_over(self, now: float) -> None:
        """A picture that was due is left out without a look at it; the next is due an interval later."""
        # Steps of the interval keep the mean rate; a gap longer than one interval is not caught up.
        self._due = (self._due if now - self._due < self._interval else now) + self._interval

    def admit(self, luma: Callable[[], Luma], now: float) -> bool:
        """Whether the picture is to be analysed; call only when `due`.

        Args:
            luma: gives the Y plane at any size, (height, width) uint8; called when a look is needed.
            now: monotonic seconds.
        """
        self.pass_over(now)
        # Whoever moves now is analysed for a while: for some of it that needs no second look.
        if now >= self._look_due and self._moves(luma(), now):
            self.moving_until = now + self._hold
            self._look_due = now + self._wait(LOOK_AGAIN * self._hold)
        if now >= self.moving_until and now < self._still_due:
            self.held_back += 1
            return False
        self._still_due = now + self._still_interval
        return True

    def _moves(self, luma: Luma, now: float) -> bool:
        current: Any = cv2.GaussianBlur(shrunk(luma, SMALL_WIDTH, SMALL_HEIGHT), (3, 3), 0)
        if self._scene is None:
            self._scene, self._learned = _Scene(current, self._watched), now
            return True
        usual = self._scene.usual(current)
        if now >= self._learn_due:
            self._scene.learn(current, now - self._learned)
            self._learned, self._learn_due = now, now + self._wait(LEARN_SECONDS)
        # Of each neighbourhood the share that is usual: so many cells less than all of it.
        together: Any = cv2.blur(usual, NEIGHBOURHOOD)
        return bool(cv2.minMaxLoc(together)[0] < self._calm)

    def _wait(self, seconds: float) -> float:
        """Two to four thirds of ``seconds``: at even distances a tree would always be met at the same place."""
        self._waits += 1
        return seconds * (2.0 + 2.0 * (self._waits * GOLDEN_RATIO % 1.0)) / 3.0


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
