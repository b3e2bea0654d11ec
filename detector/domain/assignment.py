"""Who is who between two frames: the cheapest one-to-one assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.intp]

_FORBIDDEN: Final = 1e6


@dataclass(frozen=True, slots=True)
class Assignment:
    """Pairs, and what is left over, as positions into the two sides.

    Attributes:
        rows: row of each pair.
        columns: column of each pair, in the same order.
        free_rows: rows without a partner.
        free_columns: columns without a partner.
    """

    rows: Indices
    columns: Indices
    free_rows: Indices
    free_columns: Indices


def assign(cost: Floats, limit: float) -> Assignment:
    """The assignment with most pairs of a cost below `limit`, and of those the cheapest in sum.

    Args:
        cost: rows x columns; infinite where a pair is out of the question.
        limit: pairs at or above this cost stay apart.
    """
    rows_total, columns_total = cost.shape
    if rows_total == 0 or columns_total == 0:
        nobody = np.empty(0, dtype=np.intp)
        return Assignment(nobody, nobody, np.arange(rows_total), np.arange(columns_total))
    allowed = np.where(cost < limit, cost, _FORBIDDEN)
    rows, columns = linear_sum_assignment(allowed)
    good = allowed[rows, columns] < _FORBIDDEN
    rows, columns = rows[good], columns[good]
    return Assignment(
        rows,
        columns,
        np.setdiff1d(np.arange(rows_total), rows),
        np.setdiff1d(np.arange(columns_total), columns),
    )
