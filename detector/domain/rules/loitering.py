"""ONVIF tns1:RuleEngine/LoiteringDetector/ObjectIsLoitering: somebody stays in a zone for long.

Waiting is no offence. So the rule counts only time in which the zone is not crowded, where everybody waits; it looks at
persons unless its class filter says otherwise; and it knows somebody only as long as the track lasts: whoever is lost
and found again has just come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.rows import TrackTable
from detector.domain.rules import ClassFilter, Firing
from detector.domain.rules.episode import LONGEST_GAP_SECONDS, Episode, Phase
from detector.domain.rules.occupants import SteadyCount, occupants, people_unless_said
from detector.domain.rules.zone_intrusion import AFTER, FIRES, GLIMPSES, STAYS, Glimpse, Stay, gone

if TYPE_CHECKING:
    import numpy.typing as npt

    from detector.domain.geometry import Flags, Point
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
        self._objects = TrackTable(stay=(), entered=(), last_seen=(), last_inside=(), dwelt=())
        """Dwelt: seconds inside, without those in which the zone was crowded."""

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        found = self._look(scene, np.flatnonzero(scene.of(self._classes.classes)), resting=self._rests(scene))
        self._objects.drop(scene.ended)
        return found

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

    def _look(self, scene: Scene, chosen: npt.NDArray[np.intp], *, resting: bool) -> list[Firing]:
        memory, time = self._objects, scene.time
        rows = memory.take([scene.tracks[index] for index in chosen.tolist()])
        inside, stay = scene.inside(self._zone)[chosen], memory["stay"][rows].astype(np.intp)
        outside = stay == STAYS.index(Stay.OUTSIDE)
        arriving, staying = rows[inside & outside], rows[inside & ~outside]
        memory["entered"][arriving], memory["dwelt"][arriving] = time, 0.0
        if not resting:
            memory["dwelt"][staying] += np.clip(time - memory["last_seen"][staying], 0.0, LONGEST_GAP_SECONDS)
        memory["last_seen"][rows], memory["last_inside"][rows[inside]] = time, time
        for column in ("entered", "last_inside"):
            memory[column][rows] = np.minimum(memory[column][rows], time)
        glimpses = self._glimpses(scene, chosen, rows, inside, resting=resting)
        memory["stay"][rows] = AFTER[stay, glimpses]
        return [
            self._explain(scene.present[chosen[index]], int(rows[index]), time)
            for index in np.flatnonzero(FIRES[stay, glimpses]).tolist()
        ]

    def _glimpses(
        self, scene: Scene, chosen: npt.NDArray[np.intp], rows: npt.NDArray[np.intp], inside: Flags, *, resting: bool
    ) -> npt.NDArray[np.intp]:
        memory = self._objects
        dwelt = (memory["dwelt"][rows] >= self._parameters.time_threshold) & (not resting)
        glimpses = np.where(dwelt, GLIMPSES.index(Glimpse.DWELT), GLIMPSES.index(Glimpse.IN))
        long = scene.time - memory["last_inside"][rows] > REENTRY_SECONDS
        stays = memory["stay"][rows] != STAYS.index(Stay.OUTSIDE)
        left = gone(scene, self._zone, chosen, ~inside & stays & long)
        glimpses[~inside] = np.where(left, GLIMPSES.index(Glimpse.OUT), GLIMPSES.index(Glimpse.EDGE))[~inside]
        return glimpses

    def _explain(self, presence: Presence, row: int, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=float(self._objects["entered"][row]),
            quantity="time in the zone while it was not crowded",
            unit="s",
            value=float(self._objects["dwelt"][row]),
            threshold=self._parameters.time_threshold,
            uncertainty=0.0,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )
