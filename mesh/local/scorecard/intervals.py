"""95 % confidence intervals of what a scorecard says. Few episodes say little, and the interval says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: the figure.
        low: lower end of the interval.
        high: upper end; infinite when nothing bounds it.
    """

    value: float
    low: float
    high: float


def share(hits: int, trials: int) -> Estimate | None:
    """A share with Wilson's score interval (Wilson, 1927); None of no trials."""
    if not trials:
        return None
    interval = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(hits / trials, float(interval.low), float(interval.high))


def rate(events: int, exposure: float) -> Estimate | None:
    """Events per unit of exposure with Garwood's exact Poisson interval (Garwood, 1936); None of no exposure."""
    if exposure <= 0.0:
        return None
    tail = (1.0 - CONFIDENCE) / 2
    low = float(stats.chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    high = float(stats.chi2.ppf(1.0 - tail, 2 * (events + 1))) / 2
    return Estimate(events / exposure, low / exposure, high / exposure)


def mean(values: Sequence[float]) -> Estimate | None:
    """A mean with Student's interval; None of no values, unbounded of one."""
    if not values:
        return None
    middle = float(np.mean(values))
    if len(values) == 1:
        return Estimate(middle, -math.inf, math.inf)
    margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
    return Estimate(middle, middle - margin, middle + margin)
