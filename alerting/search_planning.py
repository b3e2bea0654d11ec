"""Which optics could have seen what somebody saw."""

from __future__ import annotations

from dataclasses import dataclass

from alerting.domain.search.atlas import Atlas, Point, distance
from alerting.domain.search.query import Sighting
from alerting.store.searches import Observers


@dataclass(frozen=True)
class Plan:
    """A sighting with the optics that could have seen it.

    Attributes:
        sighting: what is asked for.
        observers: numbers of optics at sites.
    """

    sighting: Sighting
    observers: Observers

    @property
    def optics(self) -> set[str]:
        """Their names."""
        return {optic for optic, _site in self.observers.values()}


def plan(sighting: Sighting, observers: Observers, atlas: Atlas) -> Plan:
    """Chooses the optics: by the places asked for, the sites, or how far the circle is from what they can see."""
    own = {optic for optic, _place in sighting.movement.places}
    chosen = {
        number: (optic, site)
        for number, (optic, site) in observers.items()
        if (not own or optic in own)
        and (not sighting.sites or site in sighting.sites)
        and (sighting.circle is None or _may_see(sighting, atlas, optic, site))
    }
    return Plan(sighting, chosen)


def _may_see(sighting: Sighting, atlas: Atlas, optic: str, site: str) -> bool:
    circle, point = sighting.circle, atlas.sites.get(site)
    if circle is None or point is None:
        return False
    away = distance(point, Point(circle.latitude, circle.longitude))
    return away <= circle.radius + atlas.reach(optic)
