"""What an export tells: one figure at one place in one interval, exact or published."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.domain.flows import estimates
from alerting.domain.flows.cells import CATEGORIES, Category, Cell, Key, Kind, Sums
from alerting.domain.flows.places import Site
from alerting.domain.flows.release import OpenFlow


class Direction(enum.Enum):
    """Which crossings of a line, for somebody who walks along it."""

    BOTH = "both"
    LEFT_TO_RIGHT = "positive"
    RIGHT_TO_LEFT = "negative"


@dataclass(frozen=True)
class Observation:
    """One figure.

    Attributes:
        site: the line or zone, and where it is.
        category: who was counted.
        start: of the interval, in UTC.
        interval: its length.
        count: crossings of a line, or mean presence in a zone.
        uncertainty: the truth lies within this much on either side in 95 of 100 cases.
        coverage: the share of the interval that was analysed, 0 to 1.
        speed: mean, metres per second; none: not known.
        density: persons per square metre; none: not known.
        direction: which crossings.
        left_to_right: of ``count``; none: not told.
        right_to_left: likewise.
    """

    site: Site
    category: Category
    start: datetime
    interval: timedelta
    count: float
    uncertainty: float
    coverage: float
    speed: float | None = None
    density: float | None = None
    direction: Direction = Direction.BOTH
    left_to_right: float | None = None
    right_to_left: float | None = None

    @property
    def end(self) -> datetime:
        """Of the interval, in UTC."""
        return self.start + self.interval

    @property
    def per_hour(self) -> float:
        """Crossings per hour."""
        return self.count * (timedelta(hours=1) / self.interval)

    @property
    def speed_kmh(self) -> float | None:
        """Kilometres per hour."""
        return None if self.speed is None else self.speed * 3.6

    @property
    def kind(self) -> Kind:
        """Whether it is of a line or of a zone."""
        return Kind.of(self.site.place)


def by_direction(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Each direction by itself where both are known, otherwise both together; the speed is that of both."""
    for item in observations:
        if item.left_to_right is None or item.right_to_left is None:
            yield item
            continue
        for direction, count in (
            (Direction.LEFT_TO_RIGHT, item.left_to_right),
            (Direction.RIGHT_TO_LEFT, item.right_to_left),
        ):
            yield replace(item, direction=direction, count=count, left_to_right=None, right_to_left=None)


def published(flows: Iterable[OpenFlow], sites: Mapping[str, Site]) -> list[Observation]:
    """What everybody may see; what is withheld is left out, and sums of sites, which are no place, too.

    Args:
        flows: as they were published.
        sites: of their places.
    """
    return [
        Observation(
            site=sites[flow.key.place],
            category=flow.figures.category,
            start=flow.key.start,
            interval=flow.interval,
            count=float(flow.figures.count),
            uncertainty=flow.figures.uncertainty,
            coverage=flow.coverage,
            speed=flow.figures.speed,
            density=flow.figures.density,
            left_to_right=flow.figures.left_to_right,
            right_to_left=flow.figures.right_to_left,
        )
        for flow in flows
        if flow.figures is not None and flow.key.place in sites
    ]


def exact(cells: Iterable[Cell], sites: Mapping[str, Site], relative_error: float | None) -> list[Observation]:
    """The figures of the closed side, by category; turning movements and sums of sites are left out.

    Args:
        cells: of classes.
        sites: of their places.
        relative_error: of the detector's counts, one standard error; none: not known.
    """
    grouped: dict[tuple[Key, Category], list[Cell]] = {}
    for cell in cells:
        category = CATEGORIES.get(cell.key.object_class)
        if category is not None and not cell.key.to_place and cell.key.place in sites and cell.coverage > 0.0:
            key = replace(cell.key, object_class=int(category))
            grouped.setdefault((key, category), []).append(cell)
    return [
        _observation(_together(key, parts), sites[key.place], category, relative_error)
        for (key, category), parts in grouped.items()
    ]


def _together(key: Key, cells: Sequence[Cell]) -> Cell:
    sums = Sums(
        left_to_right=sum(cell.sums.left_to_right for cell in cells),
        right_to_left=sum(cell.sums.right_to_left for cell in cells),
        measured=sum(cell.sums.measured for cell in cells),
        speed_sum=sum(cell.sums.speed_sum for cell in cells),
        present_seconds=sum(cell.sums.present_seconds for cell in cells),
        density_seconds=sum(cell.sums.density_seconds for cell in cells),
    )
    return Cell(key, cells[0].interval, cells[0].coverage, sums)


def _observation(cell: Cell, site: Site, category: Category, relative_error: float | None) -> Observation:
    line = Kind.of(site.place) is Kind.LINE
    estimate = cell.crossed(relative_error) if line else cell.present(relative_error)
    assert estimate is not None, "cells without coverage were left out"
    directions = [
        estimates.crossings(counted, cell.coverage) for counted in (cell.sums.left_to_right, cell.sums.right_to_left)
    ]
    left, right = (part.value if line and part is not None else None for part in directions)
    return Observation(
        site=site,
        category=category,
        start=cell.key.start,
        interval=cell.interval,
        count=estimate.value,
        uncertainty=estimate.uncertainty,
        coverage=cell.coverage,
        speed=cell.mean_speed,
        density=cell.density,
        left_to_right=left,
        right_to_left=right,
    )
