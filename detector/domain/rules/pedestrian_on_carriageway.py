"""Pedestrian on the carriageway: a person's foot stays where vehicles drive.

The state table is that of `zone_intrusion`; what is its own is who counts: persons who neither ride nor sit in
something, in a zone whose kind says that it is a carriageway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.detections import ObjectClass
from detector.domain.rows import TrackTable
from detector.domain.rules import ClassFilter, Firing, RuleCannotRunError
from detector.domain.rules.clock import SceneClock
from detector.domain.rules.occupants import PEOPLE
from detector.domain.rules.zone_intrusion import ZoneIntrusion
from detector.domain.scene import ZoneKind

if TYPE_CHECKING:
    from detector.domain.geometry import Flags, Point
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
        self._stays = ZoneIntrusion(place, zone, minimum_duration, PEOPLE)
        self._clock = SceneClock()
        self._looks = TrackTable(ridden=(), all=())

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._clock.set_back(scene.time):
            self.reset()
        return self._stays.step(scene, self._on_foot(scene))

    def reset(self) -> None:
        """See Rule.reset."""
        self._stays.reset()
        self._looks.clear()

    def _on_foot(self, scene: Scene) -> Flags:
        """Who of those present walks, n."""
        walks = scene.of(PEOPLE.classes).copy()
        persons = np.flatnonzero(walks)
        tracks = [scene.tracks[index] for index in persons.tolist()]
        ridden = scene.riders[persons]
        rows = self._looks.take(tracks)
        self._looks["all"][rows] += 1.0
        self._looks["ridden"][rows] += ridden
        walks[persons] = ~ridden & (self._looks["ridden"][rows] < RIDDEN_SHARE * self._looks["all"][rows])
        self._looks.drop(scene.ended)
        return walks
