"""Which row of an array belongs to which track."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rows:
    """Gives every track a row of its own, and the row of one that has ended to another."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._free: list[int] = []
        self.size = 0
        """How many rows were ever in use at once."""

    def row(self, track: int) -> int | None:
        """The row of a track; None: it has none."""
        return self._rows.get(track)

    def take(self, tracks: Sequence[int]) -> npt.NDArray[np.intp]:
        """The rows of some tracks; who has none gets one."""
        known = self._rows
        for track in tracks:
            if track not in known:
                known[track] = self._free.pop() if self._free else self._fresh()
        return np.array([known[track] for track in tracks], dtype=np.intp)

    def drop(self, tracks: Sequence[int]) -> list[int]:
        """Give back the rows of these tracks; which they were."""
        dropped = [self._rows.pop(track) for track in tracks if track in self._rows]
        self._free += dropped
        return dropped

    def clear(self) -> None:
        """Give back all."""
        self._rows.clear()
        self._free.clear()
        self.size = 0

    def _fresh(self) -> int:
        self.size += 1
        return self.size - 1
