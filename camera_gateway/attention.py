"""What is known of one optic across its connections while it is looked at: its sight, and what it is allowed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from camera_gateway.domain.sharing import Allowance
from camera_gateway.domain.sight import Change, Mode, Sight

if TYPE_CHECKING:
    from camera_gateway.domain.luma import Luma


class Attention:
    """Outlives the connections of an optic: whoever turns a camera and cuts its cable has not made it forget."""

    def __init__(self) -> None:
        self.allowance = Allowance()
        self.moving_until = float("-inf")
        """Until when its scene counts as moving, monotonic seconds; written by pool threads."""
        self._sight = Sight()
        # A connection that ended may still have a picture in the pool when the next one has its first.
        self._lock = threading.Lock()

    @property
    def impairments(self) -> tuple[Mode, ...]:
        """What is wrong with its picture."""
        return self._sight.impairments

    def relearn(self) -> None:
        """People have confirmed the scene; see `Sight.relearn`."""
        with self._lock:
            self._sight.relearn()

    def wants_look(self, now: float) -> bool:
        """Whether it is time to see whether it still sees; asks for no pixels."""
        return self._sight.due(now)

    def look(self, luma: Luma, now: float) -> list[Change]:
        """See `Sight.look`; on a pool thread."""
        with self._lock:
            return self._sight.look(luma, now)
