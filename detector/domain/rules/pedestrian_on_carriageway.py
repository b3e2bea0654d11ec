"""Pedestrian on the carriageway: a person's foot stays where vehicles drive.

The state table is that of `zone_intrusion`; what is its own is who counts: persons who neither ride nor sit in
something, in a zone whose kind says that it is a carriageway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter, Firing, RuleCannotRunError
from detector.domain.rules.clock import SceneClock
from detector.domain.rules.zone_intrusion import ZoneIntrusion
from detector.domain.scene import ZoneKind

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Scene

DEFAULT_SECONDS: Final = 2.0
RIDDEN_SHARE: Final = 0.25
"""Who was seen on something in this share of all frames rides: detectors lose the bicycle more often than the rider."""


@dataclass(frozen=True, slots=True)
class PedestrianOnCarriagewayParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> PedestrianOnCarriageway:
        """See RuleParameters.build."""
        zone = places.zones[self.zone]
        if places.kinds.get(self.zone) is not ZoneKind.CARRIAGEWAY:
            message = "it watches a carriageway and its zone is of another kind: correct its kind, or take another"
            raise RuleCannotRunError(message)
        if not classes.admits(ObjectClass.PERSON):
            message = "it looks at persons only and its class filter leaves them out: name person, or no class"
            raise RuleCannotRunError(message)
        return PedestrianOnCarriageway(self.zone, zone, self.minimum_duration)


@dataclass(slots=True)
class _Looks:
    ridden: int = 0
    all: int = 0


class PedestrianOnCarriageway:
    """Fires once per stay of a pedestrian on a carriageway.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        minimum_duration: seconds.
    """

    topic = "Argo/PedestrianOnCarriageway"

    def __init__(self, place: str, zone: tuple[Point, ...], minimum_duration: float) -> None:
        self.place = place
        self._stays = ZoneIntrusion(place, zone, minimum_duration, ClassFilter(frozenset({ObjectClass.PERSON})))
        self._clock = SceneClock()
        self._looks: dict[int, _Looks] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._clock.set_back(scene.time):
            self.reset()
        ridden = scene.riders
        for presence in scene.present:
            if presence.object_class is ObjectClass.PERSON:
                looks = self._looks.setdefault(presence.track, _Looks())
                looks.all += 1
                looks.ridden += presence.track in ridden
        on_foot = tuple(item for item in scene.present if item.track not in ridden and self._walks(item.track))
        for track in scene.ended:
            self._looks.pop(track, None)
        return self._stays.step(replace(scene, present=on_foot))

    def reset(self) -> None:
        """See Rule.reset."""
        self._stays.reset()
        self._looks.clear()

    def _walks(self, track: int) -> bool:
        looks = self._looks.get(track)
        return looks is not None and looks.ridden < RIDDEN_SHARE * looks.all
