"""The plate: the picture of the empty street, learned cell by cell.

Everything that a viewer sees of the real world is a pixel of the plate. So what is accepted into the plate decides
whether somebody is shown: a cell enters after it was still for long *and* the detector answered repeatedly, for
different pictures, that nothing is there (`Evidence`). A missing verdict or a gap in the pictures starts all waits
anew. A cell that is known and shows something else is not taken over again until it was still and empty for much longer
than anybody stands still; one that turns out to hold somebody is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from anonymizer.domain import comparison
from anonymizer.domain.comparison import Look, Sensitivity
from anonymizer.domain.evidence import Evidence, LearningRules
from anonymizer.domain.frame import Plane, Planes
from anonymizer.domain.grid import CELL, Cells, Grid
from anonymizer.domain.occupancy import Occupancy

UNCHANGED: Final = Sensitivity(mean=9, outlier=22, outlier_share=4 / 64, chroma=6, light=16)
"""A known cell shows its plate. Sensor noise and compression of street cameras stay below; a person does not, as long
as one pixel row of the rim enters the cell."""
STILL: Final = Sensitivity(mean=7, outlier=18, outlier_share=3 / 64, chroma=5, light=16)
"""A cell that is being learned has not moved. Stricter, because somebody who stands sways by about a pixel."""
_SUBSAMPLING: Final = 4
ACCEPT_TICKS: Final = 4
"""How often evidence is taken between two additions to the plate: nobody minds half a second of more fill."""

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


class Plate:
    """The plate of one optic at one size, and the evidence for the cells that are not in it yet.

    All pictures are padded to the grid (`Grid.padded`). `now` is the capture time in seconds.
    """

    def __init__(self, grid: Grid, rules: LearningRules | None = None) -> None:
        self.grid = grid
        self.rules = rules or LearningRules()
        self.known: Cells = np.zeros(grid.shape, np.bool_)
        self._plate = Look.at(grid, _grey(grid))
        self._snapshot = Look.at(grid, _grey(grid))
        self._moving: Cells = np.zeros(grid.shape, np.bool_)
        self._average = tuple(plane.astype(np.float32) for plane in _each(_grey(grid)))
        self._evidence = Evidence(grid, self.rules)
        self._ticks = 0
        self._last_tick = -np.inf
        self._last_verdict = -np.inf
        self._last_frame = np.inf
        self._last_look: Plane | None = None

    @property
    def planes(self) -> Planes:
        """The picture of the street; grey where it is not known."""
        return self._plate.planes

    def changed(self, live: Look) -> Cells:
        """Known cells in which the picture is not the plate."""
        return self.known & comparison.differing(self.grid, live, self._plate, UNCHANGED)

    def moving(self, live: Look, now: float) -> Cells:
        """Cells that differ from how they looked when their wait began; looked at as often as evidence is taken."""
        if not 0 <= now - self._last_tick < self.rules.tick_seconds * 0.99:
            self._moving = comparison.differing(self.grid, live, self._snapshot, STILL)
        return self._moving

    def evenly_lit(self, live: Look) -> Cells:
        """Cells in which the picture is the plate, or grey where there is none, in another light."""
        return comparison.evenly_lit(self.grid, live, self._plate)

    def forget(self) -> None:
        """Forgets the plate and all evidence: after the camera moved or the light jumped."""
        self.known[:] = False
        self._evidence.forget()
        self._last_tick = -np.inf

    def observe(self, live: Look, now: float, motion: Motion, occupancy: Occupancy | None) -> None:
        """Takes one picture as evidence.

        Args:
            live: the picture.
            now: its capture time in seconds.
            motion: what `changed` and `moving` said of it.
            occupancy: what its verdict says of the cells, or None without a verdict for it.
        """
        if occupancy is not None:
            self._take_verdict(occupancy, motion, now)
        self._last_frame = now
        elapsed = now - self._last_tick
        if 0 <= elapsed < self.rules.tick_seconds * 0.99:
            return
        if not 0 <= elapsed <= self.rules.gap_seconds or now - self._last_verdict > self.rules.verdict_gap_seconds:
            self._evidence.restart_after_gap()
            elapsed = 0.0
        self._last_tick = now
        self._look_anew(live, *self._evidence.weigh_motion(motion.moving, occupancy, elapsed, now))
        self._ticks += 1
        self._evidence.weigh_fidgets(self._fidgeting(live), motion.moving, occupancy, elapsed, now)
        self._evidence.restart(self.known & ~motion.changed)
        is_new = self._is_new_picture(live.planes)
        undisturbed = self._evidence.weigh_quiet(occupancy, elapsed, is_new_picture=is_new)
        self._average_in(live.planes, undisturbed & ~(self.known & ~motion.changed))
        if self._ticks % ACCEPT_TICKS == 0:
            self._accept(now)

    def _take_verdict(self, occupancy: Occupancy, motion: Motion, now: float) -> None:
        if not 0 <= now - self._last_verdict <= self.rules.verdict_gap_seconds:
            self._evidence.restart_after_gap()
        self._last_verdict = now
        seconds = min(max(now - self._last_frame, 0.0), 1.0)
        self._evidence.weigh_verdict(occupancy, motion.moving, seconds)
        self.known &= ~(self._evidence.doubted & ~motion.changed)

    def _look_anew(self, live: Look, anew: Cells, proven: Cells) -> None:
        """Takes what these cells show now for what is to be learned.

        Args:
            live: the picture.
            anew: these cells.
            proven: those of them that had looked otherwise for long enough to count. Where that look went slowly, it
                was the light; where it went at once, something came, or left.
        """
        if not anew.any():
            return
        if proven.any():
            self._evidence.overtaken |= proven & comparison.differing(
                self.grid, live, Look.at(self.grid, Planes(*self._averages())), UNCHANGED
            )
        self._evidence.restart(anew)
        _paste(self.grid, _each(live.planes), _each(self._snapshot.planes), anew)
        _paste(self.grid, _each(live.planes), self._average, anew)
        self._snapshot.mean[anew] = live.mean[anew]

    def _average_in(self, live: Planes, cells: Cells) -> None:
        """Only what counts as evidence goes into the average, so that a passer-by leaves no ghost in the plate."""
        if not cells.any():
            return
        luma_mask, chroma_mask = _masks(self.grid, cells)
        for plane, average, mask in zip(_each(live), self._average, (luma_mask, chroma_mask, chroma_mask), strict=True):
            cv2.accumulateWeighted(plane, average, self.rules.averaging, mask)

    def _averages(self) -> tuple[Plane, Plane, Plane]:
        luma, blue, red = (np.asarray(cv2.convertScaleAbs(plane), np.uint8) for plane in self._average)
        return luma, blue, red

    def _fidgeting(self, live: Look) -> Cells:
        average = np.asarray(cv2.convertScaleAbs(self._average[0]), np.uint8)
        return comparison.fidgeting(self.grid, live, average)

    def _is_new_picture(self, live: Planes) -> bool:
        look = live.luma[::_SUBSAMPLING, ::_SUBSAMPLING].copy()
        is_new = self._last_look is not None and comparison.is_new_picture(look, self._last_look)
        self._last_look = look
        return is_new

    def _accept(self, now: float) -> None:
        accepted = self._evidence.proven(self.known, now)
        if not accepted.any():
            return
        _paste(self.grid, self._averages(), _each(self.planes), accepted)
        self._plate.mean[accepted] = self.grid.mean(self.planes.luma)[accepted]
        self.known |= accepted
        self._evidence.overtaken &= ~accepted
        self._evidence.restart(accepted)


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
    rows, columns = np.nonzero(cells)
    for plane, into, side in zip(source, target, (CELL, CELL // 2, CELL // 2), strict=True):
        shape = (grid.rows, side, grid.columns, side)
        into.reshape(shape)[rows, :, columns] = plane.reshape(shape)[rows, :, columns]
