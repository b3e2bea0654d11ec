"""Whether a detector sees what moves: one that answers "nothing" while people walk through the picture is blind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from anonymizer.domain.grid import Cells, Grid
from anonymizer.domain.occupancy import Occupancy

FIRST_SECONDS: Final = 1.0
"""At first nothing is remembered, so that everything differs from it."""


@dataclass(frozen=True, slots=True)
class SightRules:
    """When a detector counts as blind.

    Attributes:
        unseen_share: the share of the picture that motion may reach without being detected, less that which is. Who
            crosses the picture at a twelfth of its height reaches as much.
        restless_seconds: motion where there was such motion a shorter time before is a tree's or a flag's, and reaches
            nothing new.
        forgiven_seconds: in which all of it is forgotten.
    """

    unseen_share: float = 0.05
    restless_seconds: float = 60.0
    forgiven_seconds: float = 600.0


class Sight:
    """The account of what one optic's detector did not see."""

    def __init__(self, grid: Grid, rules: SightRules | None = None) -> None:
        self.rules = rules or SightRules()
        self._limit = self.rules.unseen_share * grid.rows * grid.columns
        self._unseen = 0.0
        self._last_moved: npt.NDArray[np.float64] = np.full(grid.shape, -np.inf)
        self._began = self._last = np.inf

    def update(self, shapes: Cells, unexplained: Cells, occupancy: Occupancy, now: float) -> bool:
        """Takes one verdict; whether the detector sees.

        Args:
            shapes: cells that differ from the plate or move.
            unexplained: those of them that are large enough for somebody, and that the verdict does not explain.
            occupancy: what it says.
            now: capture time in seconds.
        """
        self._began = min(self._began, now)
        if now - self._began < FIRST_SECONDS:
            return True
        reached = unexplained & (self._last_moved < now - self.rules.restless_seconds)
        self._last_moved[unexplained] = now
        forgiven = self._limit * max(0.0, now - self._last) / self.rules.forgiven_seconds
        self._last = now
        seen = np.count_nonzero(shapes & occupancy.explained)
        # Twice the limit is as blind as can be: who sees again is believed again soon.
        account = self._unseen + np.count_nonzero(reached) - seen - forgiven
        self._unseen = min(max(account, 0.0), 2.0 * self._limit)
        return self._unseen < self._limit
