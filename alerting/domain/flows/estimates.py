"""What a count is worth: allowed for what was not analysed, with its error.

A crossing is seen when its moment was analysed. When a share ``c`` of an interval was, ``n`` crossings were counted and
each would have been seen with probability ``c``, then ``n / c`` crossed, with variance ``n (1 - c) / c**2``: the
Horvitz-Thompson estimator (Horvitz and Thompson, 1952) of a thinned Poisson process. Its assumption is that people come
alike in the seen and the unseen part. Half an object is added to ``n`` in the variance (Jeffreys' prior for a Poisson
mean), since a place that was seen for half of the time and was empty is not surely empty in the other half.

The detector's own error is a relative standard error, as a scorecard gives it; while none is known, the uncertainty
holds the error of coverage alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Z_95: Final = 1.959964
"""Standard errors on either side that hold 95 of 100 cases, for a normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A number, and how far on either side of it the truth lies in 95 of 100 cases."""

    value: float
    uncertainty: float


def crossings(counted: int, coverage: float, relative_error: float | None = None) -> Estimate | None:
    """How many crossed in an interval.

    Args:
        counted: how many were seen to.
        coverage: the share of the interval that was analysed, 0 to 1.
        relative_error: of the detector's counts, one standard error; none: not known.

    Returns:
        None when nothing was analysed: then nothing is known.
    """
    if coverage <= 0.0:
        return None
    coverage = min(coverage, 1.0)
    value = counted / coverage
    unseen = (counted + 0.5) * (1.0 - coverage) / coverage**2
    return _with_detector(value, unseen, relative_error)


def presence(
    present_seconds: float, analysed_seconds: float, coverage: float, relative_error: float | None = None
) -> Estimate | None:
    """How many were there on average.

    The unseen part may have held others: its mean and that of the seen part are taken as two draws of one Poisson
    number, which is as far apart as a crowd that came and went between the two would be; so the standard error is
    ``(1 - c) sqrt(2 m)``.

    Args:
        present_seconds: the sum, over the objects seen, of the analysed seconds in which they were there.
        analysed_seconds: of the interval.
        coverage: the share of the interval that was analysed, 0 to 1.
        relative_error: of the detector's counts, one standard error; none: not known.

    Returns:
        None when nothing was analysed.
    """
    if analysed_seconds <= 0.0 or coverage <= 0.0:
        return None
    mean = present_seconds / analysed_seconds
    unseen = (1.0 - min(coverage, 1.0)) ** 2 * 2.0 * (mean + 0.5)
    return _with_detector(mean, unseen, relative_error)


def summed(uncertainties: list[float]) -> float:
    """The uncertainty of a sum of numbers whose errors are independent."""
    return math.hypot(*uncertainties)


def _with_detector(value: float, variance: float, relative_error: float | None) -> Estimate:
    if relative_error is not None:
        variance += (relative_error * value) ** 2
    return Estimate(value, Z_95 * math.sqrt(variance))
