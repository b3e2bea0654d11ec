"""What a detector counted in one interval, as it is kept: by the minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Counted:
    """What was counted of one class at one line or in one zone.

    Attributes:
        place: ``.../lines/{line}`` or ``.../zones/{zone}``.
        object_class: a number of ``argo.type.v1.ObjectClass``.
        left_to_right: crossings of the line, for somebody who walks along it.
        right_to_left: likewise.
        measured: how many of them have a speed.
        speed_sum: the sum of those speeds, metres per second.
        present_seconds: person-seconds or vehicle-seconds in the zone: mean occupancy times analysed time.
        maximum_present: the largest number at once.
        density_seconds: mean density times analysed time, persons per square metre times seconds; 0: not calibrated.
        maximum_density: the largest over ten seconds.
    """

    place: str
    object_class: int
    left_to_right: int = 0
    right_to_left: int = 0
    measured: int = 0
    speed_sum: float = 0.0
    present_seconds: float = 0.0
    maximum_present: int = 0
    density_seconds: float = 0.0
    maximum_density: float = 0.0


@dataclass(frozen=True)
class Turned:
    """How many of one class crossed one line and then another."""

    from_line: str
    to_line: str
    object_class: int
    count: int


@dataclass(frozen=True)
class NearMissed:
    """How often a conflict in a zone did not become an accident, by the two measures of it."""

    zone: str
    time_to_collision: int
    post_encroachment: int


@dataclass(frozen=True)
class FlowReport:
    """The counts of one optic and one interval.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``.
        start_time: when it began, in UTC. With the optic it names the report.
        analysed_seconds: how much of it was analysed.
        light_seconds: mean light level, 0 to 1, times that.
        expire_time: when all of it is erased.
        counted: at most one of each place and class.
        turned: at most one of each pair of lines and class.
        near_missed: at most one of each zone.
    """

    optic: str
    site: str
    start_time: datetime
    analysed_seconds: float
    light_seconds: float
    expire_time: datetime
    counted: tuple[Counted, ...] = ()
    turned: tuple[Turned, ...] = ()
    near_missed: tuple[NearMissed, ...] = ()

    @property
    def minute(self) -> datetime:
        """The minute that it is counted in: that of its start.

        A report of ten seconds that straddles two minutes cannot be divided, since it does not say when in it somebody
        crossed; so the edges of an interval are sharp to the length of a report.
        """
        return self.start_time.replace(second=0, microsecond=0)
