"""What speaks for a cell being empty street, and what against: the account that decides what the plate may learn.

It counts the time for which a cell looked as remembered while nothing was detected on it. Against it count detections
in which nothing moves, motion that no detection explains, fidgets that are too small for motion, and a new look that
came where another one had been. Somebody whom the detector sees passing counts neither way: the street that he covers
for a moment is the street again after him.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from anonymizer.domain.grid import Cells, Grid, closed_across, grown, grown_across
from anonymizer.domain.occupancy import Occupancy

SHADOWED: Final = 6
"""Cells around motion that a detection explains in which a fidget may be a shadow or a light of whoever passes."""


@dataclass(frozen=True, slots=True)
class LearningRules:
    """What a cell has to show before it counts as empty street.

    Attributes:
        quiet_seconds: for how long it has to have looked the same, free of detections and of motion beside it.
        returned_seconds: the same where the look came back behind somebody whom the detector saw passing: what he
            covered lies behind him.
        overtaken_seconds: the same where another look was remembered and gave way at once: who comes and stands still
            looks like that, and so does street behind somebody who leaves.
        relearn_seconds: the same for a known cell that shows something else; longer than anybody stands still.
        empty_verdicts: how many verdicts, each on a new picture, have to say so within that time.
        tick_seconds: how often evidence is taken.
        gap_seconds: a longer time without a picture starts all waits anew: nobody knows what happened meanwhile.
        verdict_gap_seconds: the same for a longer time without a verdict.
        interruption_seconds: what each motion that no detection explains takes from a wait. The rim of somebody who
            sways covers and uncovers a cell every second and never gets through.
        suspicion_weight: how much each second under an unconfident detection of a person who does not move takes from
            a wait. At 19, a cell that is under one for more than a twentieth of the time is never learned.
        parking_weight: the same for a vehicle. At 2, one that is seen in more than a third of the frames is never
            learned.
        fidget_weight: how much each second in which a cell fidgets (`comparison.fidgeting`) takes from a wait. At 29, a
            cell that fidgets for more than a thirtieth of the time is never learned: somebody stands there who sways by
            less than motion shows.
        few_fidgets: a cell that fidgeted so often since its wait began is restless, see held_together.
        debt_seconds: so far below nothing may detections of persons take a wait, so that a run of misses is not enough.
        dwell_seconds: a cell that a detection covered for longer without hiding how it looks is suspected: whoever is
            there belongs to that look. Uncovered time counts back by `dwell_recovery`.
        dwell_recovery: see dwell_seconds; at 0.5, a detection in a third of the frames is enough.
        absence_seconds: a cell that looked different for longer starts anew, with what it shows then.
        held_together: cells; what lies in a row between restless cells, at most twice this wide, waits with them,
            because the even inside of a coat looks still while its rim sways.
        averaging: weight of a new picture in the running average that becomes the plate.
    """

    quiet_seconds: float = 18.0
    returned_seconds: float = 9.0
    overtaken_seconds: float = 120.0
    relearn_seconds: float = 1800.0
    empty_verdicts: int = 15
    tick_seconds: float = 0.2
    gap_seconds: float = 2.0
    verdict_gap_seconds: float = 3.0
    interruption_seconds: float = 3.0
    suspicion_weight: float = 19.0
    parking_weight: float = 2.0
    fidget_weight: float = 29.0
    few_fidgets: int = 4
    debt_seconds: float = 8.0
    dwell_seconds: float = 3.0
    dwell_recovery: float = 0.5
    absence_seconds: float = 5.0
    held_together: int = 3
    averaging: float = 0.1


class Evidence:
    """The account of every cell of one plate. `now` is the capture time in seconds.

    Attributes:
        overtaken: cells whose look took the place of another one at once.
        doubted: cells that a confident detection covers for long without hiding their look: whoever is there is in it.
    """

    def __init__(self, grid: Grid, rules: LearningRules) -> None:
        self.rules = rules
        self.overtaken: Cells = np.zeros(grid.shape, np.bool_)
        self.doubted: Cells = np.zeros(grid.shape, np.bool_)
        self._quiet: npt.NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self._empty_verdicts: npt.NDArray[np.int32] = np.zeros(grid.shape, np.int32)
        self._absent: npt.NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self._dwell: npt.NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self._restless_until: npt.NDArray[np.float64] = np.full(grid.shape, -np.inf)
        self._hidden: Cells = np.zeros(grid.shape, np.bool_)
        self._returned: Cells = np.zeros(grid.shape, np.bool_)
        self._fidgets: npt.NDArray[np.int32] = np.zeros(grid.shape, np.int32)
        self._interrupted: Cells = np.zeros(grid.shape, np.bool_)
        self._moving: Cells = np.zeros(grid.shape, np.bool_)
        self._lasted: Cells = np.zeros(grid.shape, np.bool_)

    def forget(self) -> None:
        """Knows nothing of any cell."""
        self.restart(None)
        self.overtaken[:] = False
        self._lasted[:] = False

    def restart_after_gap(self) -> None:
        """Lets all waits begin now; a look that has lasted until now is still not given up lightly for another one."""
        self._lasted |= self._quiet >= self.rules.interruption_seconds
        self.restart(None)

    def restart(self, cells: Cells | None) -> None:
        """Lets the wait of these cells, or of all, begin now."""
        chosen = slice(None) if cells is None else cells
        self._quiet[chosen] = np.minimum(self._quiet[chosen], 0.0)
        self._empty_verdicts[chosen] = 0
        self._returned[chosen] = False
        self._fidgets[chosen] = 0
        self._absent[chosen] = 0.0

    def weigh_verdict(self, occupancy: Occupancy, moving: Cells, seconds: float) -> None:
        """Takes what a verdict says against the cells.

        Args:
            occupancy: what it says.
            moving: cells that do not look as remembered.
            seconds: since the frame before.
        """
        persons = occupancy.covered & ~occupancy.parked
        self.restart(occupancy.confirmed & persons)
        stays = (persons | occupancy.confirmed) & ~moving
        self._dwell += np.where(stays, seconds, -self.rules.dwell_recovery * seconds).astype(np.float32)
        np.clip(self._dwell, 0.0, 10.0 * self.rules.dwell_seconds, out=self._dwell)
        dwelt = self._dwell > self.rules.dwell_seconds
        self.doubted = occupancy.confirmed & dwelt
        self._quiet[occupancy.suspected | (persons & stays & dwelt)] -= self.rules.suspicion_weight * seconds
        np.maximum(self._quiet, -self.rules.debt_seconds, out=self._quiet)
        self._fine(occupancy.parked, self.rules.parking_weight * seconds)

    def _fine(self, cells: Cells, seconds: float) -> None:
        """Takes so much of the wait of these cells, down to nothing."""
        fined = cells & (self._quiet > 0.0)
        self._quiet[fined] = np.maximum(self._quiet[fined] - seconds, 0.0)

    def weigh_motion(
        self, moving: Cells, occupancy: Occupancy | None, elapsed: float, now: float
    ) -> tuple[Cells, Cells]:
        """Takes which cells do not look as remembered.

        Returns:
            The cells whose present look is to be remembered from now on, and those of them that had looked otherwise
            for long enough to count.
        """
        unexplained, gone = moving, moving
        if occupancy is not None:
            unexplained = moving & ~occupancy.explained
            gone = moving & ~(occupancy.covered & occupancy.explained)
        self._fine(self._interrupted & ~moving, self.rules.interruption_seconds)
        self._interrupted = (self._interrupted | unexplained) & moving
        self._restless_until[unexplained] = now + self.rules.quiet_seconds
        self._returned |= self._hidden & ~moving
        self._hidden = moving & (self._hidden | ~gone)
        self._absent[~moving] = 0.0
        self._absent[gone] += max(elapsed, self.rules.tick_seconds)
        self._moving = moving
        unproven = (self._quiet < self.rules.interruption_seconds) & ~self._lasted
        anew = moving & (unproven | (self._absent > self.rules.absence_seconds))
        self._lasted &= ~anew & (self._quiet < self.rules.interruption_seconds)
        return anew, anew & ~unproven

    def weigh_fidgets(
        self, fidgeting: Cells, moving: Cells, occupancy: Occupancy | None, elapsed: float, now: float
    ) -> None:
        """Takes which cells fidget; those beside somebody whom the detector sees passing do not count."""
        counting = fidgeting & ~moving
        if occupancy is not None:
            counting &= ~grown(occupancy.explained, SHADOWED)
        self._fidgets += counting
        self._restless_until[counting & (self._fidgets >= self.rules.few_fidgets)] = now + self.rules.quiet_seconds
        self._fine(counting, self.rules.fidget_weight * elapsed)

    def weigh_quiet(self, occupancy: Occupancy | None, elapsed: float, *, is_new_picture: bool) -> Cells:
        """Takes the picture as a proof for all cells in which nothing disturbs it; returns these."""
        undisturbed: Cells = ~grown_across(self._moving)
        if occupancy is not None:
            undisturbed &= ~occupancy.covered
        self._quiet[undisturbed] += elapsed
        if occupancy is not None and is_new_picture:
            self._empty_verdicts += undisturbed
        return undisturbed

    def proven(self, known: Cells, now: float) -> Cells:
        """The cells that are empty street by all that was seen of them."""
        usual = np.where(self._returned, self.rules.returned_seconds, self.rules.quiet_seconds)
        unknown_wait = np.where(self.overtaken, self.rules.overtaken_seconds, usual)
        wait = np.where(known, self.rules.relearn_seconds, unknown_wait)
        ready = (self._quiet >= wait) & (self._empty_verdicts >= self.rules.empty_verdicts) & ~self._moving
        if not ready.any():
            return ready
        restless = ~known & ~ready & (self._restless_until > now)
        return ready & ~closed_across(restless, self.rules.held_together)
