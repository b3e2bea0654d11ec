"""One cell of the grid: what was counted at a place in an interval, and what that says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from alerting.domain.flows import estimates
from alerting.domain.flows.estimates import Estimate


class Category(enum.IntEnum):
    """Kinds of road user. The numbers are those of ``argo.alerting.v1.Flow.Category``."""

    PEDESTRIANS = 1
    BICYCLES = 2
    MOTOR_VEHICLES = 3


CATEGORIES: Final[Mapping[int, Category]] = MappingProxyType(
    {
        1: Category.PEDESTRIANS,
        2: Category.BICYCLES,
        3: Category.MOTOR_VEHICLES,
        4: Category.MOTOR_VEHICLES,
        5: Category.MOTOR_VEHICLES,
        7: Category.MOTOR_VEHICLES,
    }
)
"""By class: person, bicycle, car, motorcycle, bus, lorry. Trams, animals and things are of none."""


class Kind(enum.Enum):
    """What a place is."""

    LINE = "lines"
    ZONE = "zones"
    SITE = "sites"

    @classmethod
    def of(cls, place: str) -> Kind:
        """The kind of ``sites/{site}``, ``.../lines/{line}`` or ``.../zones/{zone}``."""
        return cls(place.split("/")[-2])


@dataclass(frozen=True, order=True)
class Key:
    """Which cell; the order of lists.

    Attributes:
        place: ``sites/{site}``, ``.../zones/{zone}`` or ``.../lines/{line}``.
        start: of the interval, in UTC.
        object_class: a number of ``argo.type.v1.ObjectClass``; 0: all together.
        to_place: of a turning movement the line that was crossed next, otherwise empty.
    """

    place: str
    start: datetime
    object_class: int = 0
    to_place: str = ""


_MAXIMA: Final = frozenset({"maximum_present", "maximum_density"})


@dataclass(frozen=True)
class Sums:
    """What was counted; see ``alerting.domain.flows.reports.Counted``. Conflicts are in the cell of all classes."""

    left_to_right: int = 0
    right_to_left: int = 0
    measured: int = 0
    speed_sum: float = 0.0
    present_seconds: float = 0.0
    maximum_present: int = 0
    density_seconds: float = 0.0
    maximum_density: float = 0.0
    turned: int = 0
    time_to_collision: int = 0
    post_encroachment: int = 0

    def plus(self, other: Sums) -> Sums:
        """Both together: sums, and the larger of maxima."""
        mine, its = vars(self), vars(other)
        return Sums(
            **{name: max(mine[name], its[name]) if name in _MAXIMA else mine[name] + its[name] for name in mine}
        )


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        key: which.
        interval: its length.
        coverage: the share of it that was analysed, 0 to 1; of a site the mean over its optics.
        sums: what was counted.
    """

    key: Key
    interval: timedelta
    coverage: float
    sums: Sums

    @property
    def counted(self) -> int:
        """How many were seen to cross or to turn."""
        sums = self.sums
        return sums.turned if self.key.to_place else sums.left_to_right + sums.right_to_left

    @property
    def analysed_seconds(self) -> float:
        """Of the interval; of a site, of the mean optic."""
        return self.coverage * self.interval.total_seconds()

    def crossed(self, relative_error: float | None) -> Estimate | None:
        """How many crossed; none when nothing was analysed."""
        return estimates.crossings(self.counted, self.coverage, relative_error)

    def present(self, relative_error: float | None) -> Estimate | None:
        """How many were there on average; none when nothing was analysed."""
        return estimates.presence(self.sums.present_seconds, self.analysed_seconds, self.coverage, relative_error)

    @property
    def mean_speed(self) -> float | None:
        """Of those that were measured, metres per second: the time-mean speed. None: none was."""
        return self.sums.speed_sum / self.sums.measured if self.sums.measured else None

    @property
    def density(self) -> float | None:
        """Persons per square metre, mean over the analysed time. None: not known, or not of a zone."""
        if Kind.of(self.key.place) is not Kind.ZONE or not self.sums.density_seconds or not self.analysed_seconds:
            return None
        return self.sums.density_seconds / self.analysed_seconds
