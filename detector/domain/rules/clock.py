"""The clock of a scene, as a rule sees it."""

from __future__ import annotations

import math


class SceneClock:
    """Notices when capture times step back, as when a camera's clock was set: memory is of another time then."""

    def __init__(self) -> None:
        self._last = -math.inf

    def set_back(self, time: float) -> bool:
        """Take the time of a frame, seconds; whether it lies before the last one."""
        back = time < self._last
        self._last = time
        return back
