"""ONVIF tns1:RuleEngine/LoiteringDetector/ObjectIsLoitering: somebody stays in a zone for long.

Waiting is no offence. So the rule counts only time in which the zone is not crowded, where everybody waits; it looks at
persons unless its class filter says otherwise; and it knows somebody only as long as the track lasts: whoever is lost
and found again has just come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain import geometry
from detector.domain.rules import ClassFilter, Firing
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode, Phase
from detector.domain.rules.occupants import SteadyCount, occupants, people_unless_said
from detector.domain.rules.zone_intrusion import LEAVING_HEIGHTS, TRANSITIONS, Glimpse, Stay

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Presence, Scene

DEFAULT_THRESHOLD_SECONDS: Final = 300.0
DEFAULT_OCCUPANCY: Final = 8
REENTRY_SECONDS: Final = 10.0
"""Whoever comes back within this time has not left: pacing up and down is one stay."""
STEADY_SECONDS: Final = 1.0
CROWDED_SHARE: Final = 0.8
"""The rule wakes when no more than this share of the largest occupancy is there,"""
CROWDED_SECONDS: Final = 10.0
"""for this long."""


@dataclass(slots=True)
class _Memory:
    stay: Stay
    entered: float
    last_seen: float
    last_inside: float
    dwelt: float = 0.0
    """Seconds inside, without those in which the zone was crowded."""


@dataclass(frozen=True, slots=True)
class LoiteringParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        time_threshold: from when on, seconds.
        maximum_occupancy: it rests while more objects than this are in the zone.
    """

    zone: str
    time_threshold: float = DEFAULT_THRESHOLD_SECONDS
    maximum_occupancy: int = DEFAULT_OCCUPANCY

    def build(self, places: Places, classes: ClassFilter) -> Loitering:
        """See RuleParameters.build."""
        return Loitering(self, places.zones[self.zone], classes)


class Loitering:
    """Fires once per stay, when somebody has been in a zone that is not crowded for the threshold.

    Its table is that of zone intrusion, with time that stands still while the zone is crowded.

    Args:
        parameters: what it watches for.
        zone: corners, normalised.
        classes: whose stays count; none means persons.
    """

    topic = "LoiteringDetector/ObjectIsLoitering"

    def __init__(self, parameters: LoiteringParameters, zone: tuple[Point, ...], classes: ClassFilter) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._classes = people_unless_said(classes)
        self._count = SteadyCount(STEADY_SECONDS)
        self._crowded = Episode(0.0, CROWDED_SECONDS)
        self._objects: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        resting = self._rests(scene)
        zone = geometry.scaled(self._zone, scene.width, scene.height)
        found = [
            self._look(presence, zone, scene.time, resting=resting)
            for presence in scene.present
            if self._classes.admits(presence.object_class)
        ]
        for track in scene.ended:
            self._objects.pop(track, None)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._objects.clear()
        self._count.clear()
        self._crowded.reset()

    def _rests(self, scene: Scene) -> bool:
        count = self._count.step(scene.time, len(occupants(scene, self._zone, self._classes)))
        most = self._parameters.maximum_occupancy
        self._crowded.step(scene.time, holds=count > most, over=count <= CROWDED_SHARE * most)
        return self._crowded.phase is not Phase.QUIET

    def _look(self, presence: Presence, zone: tuple[Point, ...], time: float, *, resting: bool) -> Firing | None:
        memory = self._objects.setdefault(presence.track, _Memory(Stay.OUTSIDE, time, time, time))
        distance = geometry.distance_to_polygon(presence.foot, zone) / presence.height
        passed = min(max(0.0, time - memory.last_seen), LONGEST_GAP_SECONDS)
        memory.last_seen = time
        if distance == 0.0:
            if memory.stay is Stay.OUTSIDE:
                memory.entered, memory.dwelt = time, 0.0
            elif not resting:
                memory.dwelt += passed
            memory.last_inside = time
        memory.entered, memory.last_inside = min(memory.entered, time), min(memory.last_inside, time)
        glimpse = self._glimpse(memory, distance, time, resting=resting)
        memory.stay, fires = TRANSITIONS[memory.stay, glimpse]
        return self._explain(presence, memory, time) if fires else None

    def _glimpse(self, memory: _Memory, distance: float, time: float, *, resting: bool) -> Glimpse:
        if distance == 0.0:
            return Glimpse.DWELT if memory.dwelt >= self._parameters.time_threshold and not resting else Glimpse.IN
        gone = distance > LEAVING_HEIGHTS and time - memory.last_inside > REENTRY_SECONDS
        return Glimpse.OUT if gone else Glimpse.EDGE

    def _explain(self, presence: Presence, memory: _Memory, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.entered,
            quantity="time in the zone while it was not crowded",
            unit="s",
            value=memory.dwelt,
            threshold=self._parameters.time_threshold,
            uncertainty=0.0,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )
