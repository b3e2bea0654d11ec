"""Which row of an array belongs to which track."""

from __future__ import annotations

import itertools
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

    def take(self, tracks: Sequence[int]) -> npt.NDArray[np.intp]:
        """The rows of some tracks; who has none gets one."""
        known = self._rows
        if not known.keys() >= set(tracks):
            for track in tracks:
                if track not in known:
                    known[track] = self._free.pop() if self._free else self._fresh()
        return np.fromiter(map(known.__getitem__, tracks), np.intp, len(tracks))

    def find(self, tracks: Sequence[int]) -> npt.NDArray[np.intp]:
        """The rows of some tracks; -1: it has none."""
        return np.fromiter(map(self._rows.get, tracks, itertools.repeat(-1)), np.intp, len(tracks))

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


class TrackTable:
    """What is remembered of every track, as columns of one row each; a track that is new has zeros everywhere.

    Args:
        columns: of a row, with the shape of one entry.
    """

    def __init__(self, **columns: tuple[int, ...]) -> None:
        self._shapes = columns
        self._rows = Rows()
        self._columns: dict[str, npt.NDArray[np.float64]] = {}
        self.clear()

    def __getitem__(self, column: str) -> npt.NDArray[np.float64]:
        """A whole column, to be read and written at the rows of `take`."""
        return self._columns[column]

    def take(self, tracks: Sequence[int]) -> npt.NDArray[np.intp]:
        """The rows of some tracks."""
        rows = self._rows.take(tracks)
        for name, values in self._columns.items():
            if len(values) < self._rows.size:
                more = np.zeros((max(self._rows.size - len(values), len(values)), *values.shape[1:]))
                self._columns[name] = np.concatenate([values, more])
        return rows

    def drop(self, tracks: Sequence[int]) -> None:
        """Forget these tracks."""
        dropped = self._rows.drop(tracks)
        if dropped:
            for values in self._columns.values():
                values[dropped] = 0.0

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
        self._columns = {name: np.zeros((0, *shape)) for name, shape in self._shapes.items()}
