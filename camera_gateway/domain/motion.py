"""The motion gate: a still scene is analysed at a heartbeat, a moving one at the policy's rate.

The gate only ever lowers the rate. It looks at a small luma plane and compares it with a slowly learned background;
the noise floor is learned from the differences themselves, so that a dark and noisy picture does not count as moving.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

SMALL_WIDTH, SMALL_HEIGHT = 160, 90
"""Size at which motion is looked for: a person 40 pixels high in a 720p picture still covers 5 rows here."""


class MotionGate:
    """Decides for each picture of one optic whether it is worth an analysis. Times are monotonic seconds.

    Args:
        rate: analysed frames per second of a moving scene.
        heartbeat: analysed frames per second of a still scene; at most ``rate``.
        hold: seconds that a scene counts as moving after the last motion.
        min_cells: how many of the 160x90 cells must change for motion.
    """

    def __init__(self, rate: float, heartbeat: float = 0.5, hold: float = 3.0, min_cells: int = 4) -> None:
        self._interval = 1.0 / rate
        self._still_interval = max(1.0 / heartbeat, self._interval)
        self._hold = hold
        self._min_cells = min_cells
        self._background: npt.NDArray[np.float32] | None = None
        self._noise = 2.0
        self._due = float("-inf")
        self._still_due = float("-inf")
        self._moving_until = float("-inf")
        self.held_back = 0
        """Pictures that were due at the policy's rate and were held back because nothing moved."""

    def due(self, now: float) -> bool:
        """Whether a picture at ``now`` can be wanted at all; asks for no pixels, so that most need no scaling."""
        # A tenth of the interval of grace: a 25/s camera read at 5/s must not fall to every sixth frame by jitter.
        return now >= self._due - 0.1 * self._interval

    def admit(self, luma: Luma, now: float) -> bool:
        """Whether the picture is to be analysed; call only when `due`.

        Args:
            luma: (height, width) uint8, the Y plane at any size.
            now: monotonic seconds.
        """
        # Steps of the interval keep the mean rate; a gap longer than one interval is not caught up.
        self._due = (self._due if now - self._due < self._interval else now) + self._interval
        if self._moves(luma):
            self._moving_until = now + self._hold
        if now >= self._moving_until and now < self._still_due:
            self.held_back += 1
            return False
        self._still_due = now + self._still_interval
        return True

    def _moves(self, luma: Luma) -> bool:
        small = cv2.resize(luma, (SMALL_WIDTH, SMALL_HEIGHT), interpolation=cv2.INTER_AREA)
        current = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
        if self._background is None:
            self._background = current
            return True
        difference = cv2.absdiff(current, self._background)
        # Median of the differences over the picture: what most cells do without anything moving is noise.
        self._noise += 0.05 * (float(np.median(difference)) - self._noise)
        changed = int(np.count_nonzero(difference > max(6.0, 4.0 * self._noise)))
        cv2.accumulateWeighted(current, self._background, 0.05)
        return changed >= self._min_cells
