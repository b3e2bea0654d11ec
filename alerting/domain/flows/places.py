"""Where something is counted, by the names that people use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """A line or zone, and where it is.

    Attributes:
        place: ``.../lines/{line}`` or ``.../zones/{zone}``.
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``; empty: it stands nowhere.
        display_name: what people call it; empty: nothing but its id.
        site_display_name: what people call the site.
        latitude: of the site, degrees, WGS 84; none: not known.
        longitude: likewise.
        controller: ``controllers/{controller}`` whose camera counts there; empty: not known.
        law_enforcement: whether that camera runs under D.Lgs. 51/2018, so that what it counts is not for traffic.
    """

    place: str
    optic: str
    site: str
    display_name: str = ""
    site_display_name: str = ""
    latitude: float | None = None
    longitude: float | None = None
    controller: str = ""
    law_enforcement: bool = True

    @property
    def label(self) -> str:
        """The site and the place as people call them, otherwise by their ids."""
        site = self.site_display_name or self.site.rsplit("/", 1)[-1]
        place = self.display_name or self.place.rsplit("/", 1)[-1]
        return f"{site}, {place}" if site else place
