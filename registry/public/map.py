"""The map of the page: where each thing is in the picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.domain.cartography import CORNERS_OF_AN_AREA, Pixel, Position, Projection, convex_hull
from registry.public.document import Register

WIDTH = 960
_ABOVE_A_MARK = 14
_KINDS = "fixed", "mobile", "planned"


@dataclass(frozen=True)
class Mark:
    """A site on the map; ``kind`` is ``fixed``, ``mobile`` or ``planned``, the first of them that holds."""

    kind: str
    name: str
    at: Pixel


@dataclass(frozen=True)
class Area:
    """A district: the hull of its sites, in pixels, and where its name stands."""

    name: str
    corners: tuple[Pixel, ...]
    label: Pixel


@dataclass(frozen=True)
class Map:
    """All that is drawn; lengths are pixels.

    Attributes:
        parallels: degrees and height in the picture of each.
        meridians: degrees and place from the left of each.
        scale_metres, scale_width: what the bar stands for, and its length.
    """

    width: int
    height: int
    marks: tuple[Mark, ...]
    areas: tuple[Area, ...]
    parallels: tuple[tuple[float, float], ...]
    meridians: tuple[tuple[float, float], ...]
    scale_metres: int
    scale_width: float


def draw(register: Register) -> Map | None:
    """The map of the sites where cameras stand or will stand; None if there is none."""
    kinds = _kinds(register)
    sites = [site for site in register.sites if site.name in kinds]
    if not sites:
        return None
    positions = {site.name: Position(site.latitude, site.longitude) for site in sites}
    projection = Projection.around(list(positions.values()), WIDTH)
    pixels = {name: projection.pixel(position) for name, position in positions.items()}
    districts: dict[str, list[Pixel]] = {}
    for site in sites:
        if site.district:
            districts.setdefault(site.district, []).append(pixels[site.name])
    metres, scale = projection.scale()
    return Map(
        width=WIDTH,
        height=round(projection.height),
        marks=tuple(Mark(kinds[site.name], site.display_name, pixels[site.name]) for site in sites),
        areas=tuple(_area(name, points) for name, points in sorted(districts.items())),
        parallels=tuple(
            (degrees, projection.pixel(Position(degrees, projection.west)).y) for degrees in projection.parallels()
        ),
        meridians=tuple(
            (degrees, projection.pixel(Position(projection.north, degrees)).x) for degrees in projection.meridians()
        ),
        scale_metres=metres,
        scale_width=scale,
    )


def _kinds(register: Register) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for camera in register.cameras:
        if camera.site and camera.mobility:
            found.setdefault(camera.site, set()).add(camera.mobility)
        for stay in camera.placements:
            if stay.state == "planned":
                found.setdefault(stay.site, set()).add("planned")
    return {
        site: next(kind for kind in _KINDS if kind in kinds) for site, kinds in found.items() if kinds & set(_KINDS)
    }


def _area(name: str, points: Iterable[Pixel]) -> Area:
    corners = tuple(convex_hull(list(points)))
    middle = Pixel(
        sum(corner.x for corner in corners) / len(corners), sum(corner.y for corner in corners) / len(corners)
    )
    # Where there is no area to write in, above the mark.
    raised = middle if len(corners) >= CORNERS_OF_AN_AREA else Pixel(middle.x, middle.y - _ABOVE_A_MARK)
    return Area(name, corners, raised)
