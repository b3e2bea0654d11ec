"""What a verdict says about the cells of a picture: which of them may hold somebody who stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from anonymizer.domain.coasting import widened
from anonymizer.domain.grid import Cells, Grid, counts, grown, slices
from anonymizer.domain.verdict import CONFIDENT, Verdict, are_vehicles

LEARNING_MARGIN: Final = 0.06
"""Around a confident detection nothing is learned: share of its width and height, on every side."""
SHADOW_MARGIN: Final = 0.25
"""How far around somebody who passes he explains motion: a shadow, a swinging arm. A share as above."""
SPARED: Final = 0.25
"""Cells into which a box reaches less far than this share of their side are not covered by it."""
SPARED_BY_VEHICLES: Final = 0.5
"""The same for a vehicle's box."""
EXPLAINED_BY_MOTION: Final = 0.15
"""The share of a detection's cells that move from which on the detection is that of a passer-by. What does not move in
it is then street between legs and arms, not somebody who stands."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What a verdict says of the cells.

    Attributes:
        covered: under any detection, with margin.
        suspected: under a detection of a person in which hardly anything moves: perhaps somebody who stands there,
            perhaps a thing that the detector takes for a person now and then.
        confirmed: as suspected or, but for its rim, as parked, and the detector is confident.
        parked: under a vehicle in which hardly anything moves, and not suspected.
        explained: motion here is that of something that the detector saw passing.
    """

    covered: Cells
    suspected: Cells
    confirmed: Cells
    parked: Cells
    explained: Cells


def occupancy_of(grid: Grid, verdict: Verdict, shapes: Cells) -> Occupancy:
    """Which cells a verdict covers, and why.

    Args:
        grid: the cells.
        verdict: of this very frame.
        shapes: the cells that differ from the plate or move.
    """
    covered, suspected, confirmed, parked, explained = np.zeros((5, *grid.shape), np.bool_)
    is_vehicle = are_vehicles(verdict.classes)
    is_sure = verdict.scores >= CONFIDENT
    wide = widened(verdict.boxes, np.where(is_sure & ~is_vehicle, LEARNING_MARGIN, 0.0))
    spans = grid.spans(wide, spared=np.where(is_vehicle, SPARED_BY_VEHICLES, SPARED)[:, None])
    extents = (spans[:, 2] - spans[:, 0]) * (spans[:, 3] - spans[:, 1])
    is_passing = counts(shapes, spans) >= EXPLAINED_BY_MOTION * extents
    for index, area in enumerate(slices(spans)):
        covered[area] = True
        if is_passing[index]:
            continue
        (parked if is_vehicle[index] else suspected)[area] = True
        if is_sure[index]:
            confirmed[_inside(area) if is_vehicle[index] else area] = True
    for shadow in slices(grid.spans(widened(verdict.boxes[is_passing], SHADOW_MARGIN))):
        explained[shadow] = True
    return Occupancy(covered, suspected, confirmed, parked & ~suspected, grown(explained, 1))


def _inside(area: tuple[slice, slice]) -> tuple[slice, slice]:
    """Without the cells at its rim, which show as much street as vehicle."""
    rows, columns = area
    return slice(rows.start + 1, max(rows.start + 1, rows.stop - 1)), slice(
        columns.start + 1, max(columns.start + 1, columns.stop - 1)
    )
