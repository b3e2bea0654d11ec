"""What somebody saw, as a search asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Circle:
    """A place and its surroundings.

    Attributes:
        latitude: of the middle, WGS 84, degrees.
        longitude: likewise.
        radius: metres.
    """

    latitude: float
    longitude: float
    radius: float


@dataclass(frozen=True)
class Movement:
    """What a thing did; none: any.

    Attributes:
        heading: degrees clockwise from north.
        heading_tolerance: degrees.
        minimum_speed: at some time at least this fast, metres per second.
        maximum_speed: at some time at most this fast, metres per second.
        minimum_dwell: seconds in view.
        minimum_stop: seconds without moving.
        places: optics with ``zones/{zone}`` or ``lines/{line}`` of theirs; one of them is enough.
    """

    heading: float | None = None
    heading_tolerance: float = 45.0
    minimum_speed: float | None = None
    maximum_speed: float | None = None
    minimum_dwell: float | None = None
    minimum_stop: float | None = None
    places: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Sighting:
    """Where and when.

    Attributes:
        start_time: in UTC.
        end_time: in UTC.
        tolerance: before and after.
        sites: ``sites/{site}``; none: any.
        circle: none: anywhere.
        movement: what it did.
        rules: names of rules or their kinds, of which one fired on it; none: any or none.
    """

    start_time: datetime
    end_time: datetime
    tolerance: timedelta = timedelta(0)
    sites: frozenset[str] = frozenset()
    circle: Circle | None = None
    movement: Movement = field(default_factory=Movement)
    rules: frozenset[str] = frozenset()

    @property
    def earliest(self) -> datetime:
        """With the tolerance."""
        return self.start_time - self.tolerance

    @property
    def latest(self) -> datetime:
        """With the tolerance."""
        return self.end_time + self.tolerance


@dataclass(frozen=True)
class Query:
    """A testimony.

    Attributes:
        classes: numbers of ``argo.type.v1.ObjectClass``; none: anything.
        colours: numbers of ``argo.detector.v1.VehicleColour``; none: any. Only with classes that are all vehicles.
        sightings: the first one, and those that came after it. More than one only with classes that are all vehicles.
        minimum_count: together on one optic.
    """

    classes: frozenset[int]
    colours: frozenset[int]
    sightings: tuple[Sighting, ...]
    minimum_count: int = 1


@dataclass(frozen=True, slots=True)
class Track:
    """An observation, as far as a search looks at it; none: not known. See ``alerting.domain.search.features``."""

    optic: str
    site: str
    track: int
    start_time: datetime
    end_time: datetime
    expire_time: datetime
    object_class: int
    colour: int
    colour_confidence: float
    still_seconds: float | None
    heading: float | None
    leaving: float | None
    speed_low: float | None
    speed_high: float | None
    from_x: float | None
    from_y: float | None
    to_x: float | None
    to_y: float | None
    places: tuple[str, ...]

    @property
    def key(self) -> tuple[str, datetime, int]:
        """Names it among all."""
        return self.optic, self.start_time, self.track

    @property
    def seconds(self) -> float:
        """It was in view for so long."""
        return (self.end_time - self.start_time).total_seconds()
