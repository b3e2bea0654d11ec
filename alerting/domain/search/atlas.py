"""Where optics stand and look, and so where on the map something was, as well as that is known.

A calibration knows metres from an origin of its own, not the map. So a place on the map is that of the site, and the
reach of the optic from there: the direction narrows it where the registry says where the optic looks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OBSERVATION_REACH: Final = 70.0
"""Metres that an optic "di osservazione" sees, as the city puts it (domain, 4 August 2020)."""
CONTEXT_REACH: Final = 120.0
"""Metres for one that looks all round: an assumption, on the safe side."""
_EARTH_RADIUS: Final = 6_371_008.8
"""Metres, mean radius (IUGG)."""


@dataclass(frozen=True, slots=True)
class Point:
    """WGS 84, degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class View:
    """Where an optic looks.

    Attributes:
        site: ``sites/{site}`` where it stands now.
        heading: of the middle of its picture, degrees clockwise from north; none: not known.
        field_of_view: horizontal, degrees; 0: not known.
        reach: metres.
    """

    site: str
    heading: float | None
    field_of_view: float
    reach: float = CONTEXT_REACH


@dataclass(frozen=True, slots=True)
class Position:
    """Where something was: within ``radius`` metres of ``center``."""

    center: Point
    radius: float


@dataclass(frozen=True)
class Atlas:
    """What the registry says of sites and optics.

    Attributes:
        sites: points by ``sites/{site}``.
        views: by ``devices/{device}/optics/{optic}``.
    """

    sites: Mapping[str, Point] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def view(self, optic: str, site: str) -> View | None:
        """Where an optic looked when it stood at a site; none: that is not known, it stands elsewhere now."""
        view = self.views.get(optic)
        return view if view is not None and view.site == site else None

    def position(self, optic: str, site: str, x: float | None = None) -> Position | None:
        """Where something was that an optic saw.

        Args:
            optic: that saw it.
            site: where that stood.
            x: where in the picture, 0 to 1; none: anywhere.

        Returns:
            None if the site is not on the map.
        """
        point = self.sites.get(site)
        if point is None:
            return None
        view = self.view(optic, site)
        if view is None or view.heading is None:
            return Position(point, self.reach(optic))
        width = view.field_of_view if x is None else _RAY_DEGREES
        direction = view.heading if x is None else view.heading + (x - 0.5) * view.field_of_view
        half = view.reach / 2.0
        # The smallest circle about the middle of the sector that holds the sector up to a right angle either way.
        spread = 2.0 * half * math.sin(math.radians(min(width, 180.0) / 2.0))
        return Position(moved(point, direction, half), max(half, spread))

    def reach(self, optic: str) -> float:
        """Metres that an optic sees; of one that is not on record, the most."""
        view = self.views.get(optic)
        return CONTEXT_REACH if view is None else view.reach


_RAY_DEGREES: Final = 10.0
"""Give or take for a direction in the picture: field of view and heading are noted by hand."""


def distance(one: Point, other: Point) -> float:
    """Metres between two points of one city (equirectangular approximation)."""
    middle = math.radians((one.latitude + other.latitude) / 2.0)
    east = math.radians(other.longitude - one.longitude) * math.cos(middle)
    north = math.radians(other.latitude - one.latitude)
    return _EARTH_RADIUS * math.hypot(east, north)


def moved(point: Point, direction: float, metres: float) -> Point:
    """The point so far away in a direction, degrees clockwise from north."""
    north = metres * math.cos(math.radians(direction)) / _EARTH_RADIUS
    east = metres * math.sin(math.radians(direction)) / _EARTH_RADIUS / math.cos(math.radians(point.latitude))
    return Point(point.latitude + math.degrees(north), point.longitude + math.degrees(east))


def separation(one: Position, other: Position) -> tuple[float, float]:
    """The least and the usual metres between two things whose places are only so well known."""
    between = distance(one.center, other.center)
    return max(0.0, between - one.radius - other.radius), between
