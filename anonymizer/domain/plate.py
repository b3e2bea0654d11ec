"""The plate: the picture of the empty street, learned cell by cell.

Everything that a viewer sees of the real world is a pixel of the plate. So this module alone decides whether somebody
is shown, and it decides by what it accepts into the plate: a cell enters after it was still for long *and* the detector
answered repeatedly, for different pictures, that nothing is there. Motion, a detection, a missing verdict or a gap in
the pictures starts the wait anew. A cell that is known and shows something else is not taken over again until it was
still and empty for much longer than anybody stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain import comparison
from anonymizer.domain.comparison import Sensitivity
from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.grid import CELL, Cells, Grid, closed, grown

UNCHANGED: Final = Sensitivity(mean=9, outlier=22, outlier_share=4 / 64, chroma=6)
"""A known cell shows its plate. Sensor noise and compression of street cameras stay below; a person does not, as long
as one pixel row of the rim enters the cell."""
STILL: Final = Sensitivity(mean=7, outlier=18, outlier_share=3 / 64, chroma=5)
"""A cell that is being learned has not moved. Stricter, because somebody who stands sways by about a pixel."""
_SUBSAMPLING: Final = 4

Image = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Motion:
    """Where a picture differs from what is remembered.

    Attributes:
        changed: known cells that do not show the plate.
        moving: cells that differ from how they looked when their wait began.
    """

    changed: Cells
    moving: Cells


@dataclass(frozen=True, slots=True)
class LearningRules:
    """What a cell has to show before it counts as empty street.

    Attributes:
        quiet_seconds: for how long it has to have looked the same, free of detections and of motion beside it.
        relearn_seconds: the same for a known cell that shows something else; longer than anybody stands still.
        empty_verdicts: how many verdicts, each on a new picture, have to say so within that time.
        tick_seconds: how often evidence is taken.
        gap_seconds: a longer time without a picture starts all waits anew: nobody knows what happened meanwhile.
        verdict_gap_seconds: the same for a longer time without a verdict.
        interruption_seconds: what each interruption by something that covers the cell takes from its wait. One passer-
        by
            costs little; the rim of somebody who sways covers and uncovers a cell every second and never gets through.
        suspicion_weight: how much each second under an unconfident detection takes from a wait. At 4, a cell that is
        under
            one for more than a fifth of the time is never learned.
        absence_seconds: a cell that was covered for longer starts anew, with what it shows then.
        held_together: cells; what lies between cells that are not ready, at most twice this wide, waits with them,
        because
            the even inside of a coat looks still while its rim sways.
        averaging: weight of a new picture in the running average that becomes the plate.
    """

    quiet_seconds: float = 20.0
    relearn_seconds: float = 1800.0
    empty_verdicts: int = 15
    tick_seconds: float = 0.2
    gap_seconds: float = 2.0
    verdict_gap_seconds: float = 3.0
    interruption_seconds: float = 3.0
    suspicion_weight: float = 4.0
    absence_seconds: float = 5.0
    held_together: int = 3
    averaging: float = 0.1


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What a verdict says of the cells.

    Attributes:
        covered: under any detection, with margin.
        suspected: under a detection in which hardly anything moves: perhaps somebody who stands there, perhaps a thing
        that
            the detector takes for a person now and then.
        confirmed: as suspected, and the detector is confident.
    """

    covered: Cells
    suspected: Cells
    confirmed: Cells


class Plate:
    """The plate of one optic at one size, and the evidence for the cells that are not in it yet.

    All pictures are padded to the grid (`Grid.padded`). `now` is the capture time in seconds.
    """

    def __init__(self, grid: Grid, rules: LearningRules | None = None) -> None:
        self.grid = grid
        self.rules = rules or LearningRules()
        self.known: Cells = np.zeros(grid.shape, np.bool_)
        self.planes = _grey(grid)
        self._snapshot = _grey(grid)
        self._average = tuple(plane.astype(np.float32) for plane in _each(self.planes))
        self._quiet: npt.NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self._empty_verdicts: npt.NDArray[np.int32] = np.zeros(grid.shape, np.int32)
        self._absent: npt.NDArray[np.float32] = np.zeros(grid.shape, np.float32)
        self._last_tick = -np.inf
        self._last_verdict = -np.inf
        self._last_frame = np.inf
        self._last_look: Plane | None = None

    def changed(self, live: Planes) -> Cells:
        """Known cells in which the picture is not the plate."""
        return self.known & comparison.differing(self.grid, live, self.planes, UNCHANGED)

    def moving(self, live: Planes) -> Cells:
        """Cells that differ from how they looked when their wait began."""
        return comparison.differing(self.grid, live, self._snapshot, STILL)

    def forget(self) -> None:
        """Forgets the plate and all evidence: after the camera moved or the light jumped."""
        self.known[:] = False
        self._restart(None)
        self._last_tick = -np.inf

    def observe(self, live: Planes, now: float, motion: Motion, occupancy: Occupancy | None) -> None:
        """Takes one picture as evidence.

        Args:
            live: the picture.
            now: its capture time in seconds.
            motion: what `changed` and `moving` said of it.
            occupancy: what its verdict says of the cells, or None without a verdict for it.
        """
        if occupancy is not None:
            if not 0 <= now - self._last_verdict <= self.rules.verdict_gap_seconds:
                self._restart(None)
            self._last_verdict = now
            self._restart(occupancy.confirmed)
            self._quiet[occupancy.suspected] -= self.rules.suspicion_weight * min(max(now - self._last_frame, 0.0), 1.0)
            np.maximum(self._quiet, 0.0, out=self._quiet)
        self._last_frame = now
        elapsed = now - self._last_tick
        if 0 <= elapsed < self.rules.tick_seconds * 0.99:
            return
        if not 0 <= elapsed <= self.rules.gap_seconds or now - self._last_verdict > self.rules.verdict_gap_seconds:
            self._restart(None)
            elapsed = 0.0
        self._last_tick = now
        self._weigh(live, elapsed, motion, occupancy)
        self._accept()

    def _restart(self, cells: Cells | None) -> None:
        """Lets the wait of these cells, or of all, begin now."""
        chosen = slice(None) if cells is None else cells
        self._quiet[chosen] = 0.0
        self._empty_verdicts[chosen] = 0
        self._absent[chosen] = 0.0

    def _weigh(self, live: Planes, elapsed: float, motion: Motion, occupancy: Occupancy | None) -> None:
        moving = motion.moving
        returned = ~moving & (self._absent > 0.0)
        self._quiet[returned] = np.maximum(self._quiet[returned] - self.rules.interruption_seconds, 0.0)
        self._absent[~moving] = 0.0
        self._absent[moving] += max(elapsed, self.rules.tick_seconds)
        self._look_anew(live, moving)
        self._restart(self.known & ~motion.changed)
        is_new = self._is_new_picture(live)
        undisturbed = ~grown(moving, 1)
        if occupancy is not None:
            undisturbed &= ~occupancy.covered
        self._quiet[undisturbed] += elapsed
        self._average_in(live, undisturbed)
        if occupancy is not None and is_new:
            self._empty_verdicts += undisturbed

    def _look_anew(self, live: Planes, moving: Cells) -> None:
        """Takes what a cell shows now for what is to be learned, unless something only passes in front of it."""
        unproven = self._quiet < self.rules.interruption_seconds
        anew = moving & (unproven | (self._absent > self.rules.absence_seconds))
        self._restart(anew)
        if not anew.any():
            return
        _paste(self.grid, _each(live), _each(self._snapshot), anew)
        exact: Sequence[Image] = [plane.astype(np.float32) for plane in _each(live)]
        _paste(self.grid, exact, self._average, anew)

    def _average_in(self, live: Planes, cells: Cells) -> None:
        """Only what counts as evidence goes into the average, so that a passer-by leaves no ghost in the plate."""
        if not cells.any():
            return
        luma_mask, chroma_mask = _masks(self.grid, cells)
        for plane, average, mask in zip(_each(live), self._average, (luma_mask, chroma_mask, chroma_mask), strict=True):
            cv2.accumulateWeighted(plane, average, self.rules.averaging, mask)

    def _is_new_picture(self, live: Planes) -> bool:
        look = live.luma[::_SUBSAMPLING, ::_SUBSAMPLING].copy()
        is_new = self._last_look is not None and comparison.is_new_picture(look, self._last_look)
        self._last_look = look
        return is_new

    def _accept(self) -> None:
        wait = np.where(self.known, self.rules.relearn_seconds, self.rules.quiet_seconds)
        ready = (self._quiet >= wait) & (self._empty_verdicts >= self.rules.empty_verdicts) & (self._absent == 0.0)
        if not ready.any():
            return
        accepted = ready & ~closed(~self.known & ~ready, self.rules.held_together)
        average: Sequence[Image] = [np.asarray(cv2.convertScaleAbs(plane), np.uint8) for plane in self._average]
        _paste(self.grid, average, _each(self.planes), accepted)
        self.known |= accepted
        self._restart(accepted)


def _grey(grid: Grid) -> Planes:
    half = (grid.rows * CELL // 2, grid.columns * CELL // 2)
    return Planes(
        np.full((grid.rows * CELL, grid.columns * CELL), 128, np.uint8),
        np.full(half, 128, np.uint8),
        np.full(half, 128, np.uint8),
    )


def _each(planes: Planes) -> tuple[Plane, Plane, Plane]:
    return planes.luma, planes.blue, planes.red


def _masks(grid: Grid, cells: Cells) -> tuple[Plane, Plane]:
    """The pixels of these cells in the luma plane, and in a chroma plane."""
    flags = cells.view(np.uint8)
    return grid.spread(flags), grid.spread(flags, CELL // 2)


def _paste(grid: Grid, source: Sequence[Image], target: Sequence[Image], cells: Cells) -> None:
    """Copies the pixels of these cells in place; each sequence holds a luma plane and two chroma planes."""
    luma_mask, chroma_mask = _masks(grid, cells)
    for plane, into, mask in zip(source, target, (luma_mask, chroma_mask, chroma_mask), strict=True):
        cv2.copyTo(plane, mask, into)
