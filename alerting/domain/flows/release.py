"""What may be published for everybody, and what never is (docs/adr/0027).

A cell is a place, a category of road user and an interval of the base grid. It is published when at least ten objects
were counted in it, and withheld otherwise: nothing, few, or not looked at are all the same to a reader. A figure is the
middle of a step of ten, 15 for 10 to 19, so that the difference between two places that see the same people, or between
two times of one zone, does not tell one number under ten from another.

Longer intervals and whole sites are sums of what was published, and of nothing else: no total holds a withheld cell, so
nothing can be taken from a total to find one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from alerting.domain.flows import estimates
from alerting.domain.flows.cells import Category, Key, Kind

THRESHOLD: Final = 10
"""Fewer objects than this are withheld."""
STEP: Final = 10
"""Of counts. As large as the threshold: see the module."""
SPEED_ROUNDING: Final = 0.1
"""Metres per second."""
COVERAGE_ROUNDING: Final = 0.05
LEAST_COVERAGE: Final = 0.5
"""Of a published cell: what was seen of less says too little of the whole."""
_STEP_UNCERTAINTY: Final = estimates.Z_95 * STEP / math.sqrt(12.0)
"""An error that is anywhere in a step alike."""


@dataclass(frozen=True)
class Candidate:
    """A cell of the base grid before it is decided on.

    Attributes:
        place: ``.../lines/{line}`` or ``.../zones/{zone}``.
        category: the kind of road user.
        coverage: the share of the interval that was analysed, 0 to 1.
        analysed_seconds: of it.
        left_to_right: crossings of a line.
        right_to_left: likewise.
        measured: how many have a speed.
        speed_sum: of those, metres per second.
        present_seconds: object-seconds in a zone.
        area: of a zone, square metres; none: not known.
    """

    place: str
    category: Category
    coverage: float
    analysed_seconds: float
    left_to_right: int = 0
    right_to_left: int = 0
    measured: int = 0
    speed_sum: float = 0.0
    present_seconds: float = 0.0
    area: float | None = None


@dataclass(frozen=True)
class Published:
    """A cell of the base grid as it was published. It never changes.

    Attributes:
        place: as in ``Candidate``.
        category: likewise.
        count: crossings of a line, or mean presence in a zone, allowed for what was not analysed; the middle of a
            step of ten.
        uncertainty: the truth lies within this much on either side in 95 of 100 cases.
        left_to_right: of the crossings, likewise; none: one of the directions is too small.
        right_to_left: likewise.
        speed: mean, metres per second; none: too few were measured.
        density: of persons in a zone of known area, per square metre, from that count.
        coverage: the share of the interval that was analysed, in steps of 0.05.
    """

    place: str
    category: Category
    count: int
    uncertainty: float
    left_to_right: int | None
    right_to_left: int | None
    speed: float | None
    density: float | None
    coverage: float


@dataclass(frozen=True)
class OpenFlow:
    """What everybody sees of a place, a category and an interval: the sum of what was published of it.

    Attributes:
        key: which; its ``object_class`` is the number of the category.
        interval: its length.
        coverage: the share of it that was analysed and is in the figures.
        withheld: how many cells of the base grid are withheld.
        figures: the sum; none: all of it is withheld. Its place and category are those of the key.
    """

    key: Key
    interval: timedelta
    coverage: float
    withheld: int
    figures: Published | None


def publish(cell: Candidate, relative_error: float | None = None) -> Published | None:
    """What is published of a cell; none: it is withheld.

    Args:
        cell: what was counted.
        relative_error: of the detector's counts, one standard error; none: not known.
    """
    coverage = min(cell.coverage, 1.0)
    line = Kind.of(cell.place) is Kind.LINE
    counted = cell.left_to_right + cell.right_to_left if line else _mean_present(cell)
    if counted < THRESHOLD or coverage < LEAST_COVERAGE:
        return None
    if line:
        estimate = estimates.crossings(int(counted), coverage, relative_error)
    else:
        estimate = estimates.presence(cell.present_seconds, cell.analysed_seconds, coverage, relative_error)
    assert estimate is not None, "something was analysed"
    count = stepped(estimate.value)
    both = line and min(cell.left_to_right, cell.right_to_left) >= THRESHOLD
    persons = cell.category is Category.PEDESTRIANS
    return Published(
        place=cell.place,
        category=cell.category,
        count=count,
        uncertainty=math.hypot(estimate.uncertainty, _STEP_UNCERTAINTY),
        left_to_right=stepped(cell.left_to_right / coverage) if both else None,
        right_to_left=stepped(cell.right_to_left / coverage) if both else None,
        speed=_speed(cell) if line else None,
        density=count / cell.area if cell.area and persons and not line else None,
        coverage=round(coverage / COVERAGE_ROUNDING) * COVERAGE_ROUNDING,
    )


def stepped(value: float) -> int:
    """The middle of the step of ten that a number of at least ten is in."""
    return int(value // STEP) * STEP + STEP // 2


def roll_up(key: Key, interval: timedelta, published: Sequence[Published], cells: int) -> OpenFlow:
    """Sums what was published.

    Args:
        key: which place, category and interval.
        interval: its length.
        published: of the place, or of the lines of the site, in the base intervals of the interval.
        cells: how many cells of the base grid there are in it.
    """
    if not published:
        return OpenFlow(key, interval, 0.0, cells, None)
    coverage = math.fsum(cell.coverage for cell in published) / cells
    return OpenFlow(key, interval, coverage, cells - len(published), _sum(key, published))


def _sum(key: Key, published: Sequence[Published]) -> Published:
    count = sum(cell.count for cell in published)
    uncertainty = math.hypot(*(cell.uncertainty for cell in published))
    if Kind.of(key.place) is Kind.ZONE:
        # Presence is not added over time: who stays is there in every interval.
        count, uncertainty = round(count / len(published)), uncertainty / len(published)
    densities = [cell.density for cell in published if cell.density is not None]
    return Published(
        place=key.place,
        category=Category(key.object_class),
        count=count,
        uncertainty=uncertainty,
        left_to_right=_sum_known([cell.left_to_right for cell in published]),
        right_to_left=_sum_known([cell.right_to_left for cell in published]),
        speed=_mean_speed(published),
        density=math.fsum(densities) / len(densities) if densities else None,
        coverage=math.fsum(cell.coverage for cell in published) / len(published),
    )


def _sum_known(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _mean_speed(published: Sequence[Published]) -> float | None:
    weights: Mapping[int, tuple[float, int]] = {
        index: (cell.speed, cell.count) for index, cell in enumerate(published) if cell.speed is not None
    }
    if not weights:
        return None
    total = sum(count for _, count in weights.values())
    return math.fsum(speed * count for speed, count in weights.values()) / total


def _mean_present(cell: Candidate) -> float:
    return cell.present_seconds / cell.analysed_seconds if cell.analysed_seconds > 0.0 else 0.0


def _speed(cell: Candidate) -> float | None:
    if cell.measured < THRESHOLD:
        return None
    return round(cell.speed_sum / cell.measured / SPEED_ROUNDING) * SPEED_ROUNDING
