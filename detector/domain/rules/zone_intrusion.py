"""ONVIF tns1:RuleEngine/FieldDetector/ObjectsInside: an object stays inside a zone for a while."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain import geometry
from detector.domain.rows import TrackTable
from detector.domain.rules import ClassFilter, Firing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Presence, Scene

DEFAULT_DWELL_SECONDS: Final = 1.0
LEAVING_HEIGHTS: Final = 0.1
"""An object has left only when it is this far outside, in heights of its box: at the edge it neither comes nor goes."""
LEAVING_SECONDS: Final = 1.0
"""And only after this long: one badly measured frame does not end a stay."""


class Stay(enum.Enum):
    """Where an object is with respect to a zone."""

    OUTSIDE = enum.auto()
    INSIDE = enum.auto()
    """In the zone, not yet for long enough."""
    REPORTED = enum.auto()
    """In the zone, and the rule has fired for this stay."""


class Glimpse(enum.Enum):
    """What a frame says of an object with respect to a zone."""

    IN = enum.auto()
    DWELT = enum.auto()
    """In, and by now for the whole dwell time."""
    EDGE = enum.auto()
    """Outside, but not far or not for long."""
    OUT = enum.auto()


TRANSITIONS: Final[Mapping[tuple[Stay, Glimpse], tuple[Stay, bool]]] = {
    (Stay.OUTSIDE, Glimpse.IN): (Stay.INSIDE, False),
    (Stay.OUTSIDE, Glimpse.DWELT): (Stay.REPORTED, True),
    (Stay.OUTSIDE, Glimpse.EDGE): (Stay.OUTSIDE, False),
    (Stay.OUTSIDE, Glimpse.OUT): (Stay.OUTSIDE, False),
    (Stay.INSIDE, Glimpse.IN): (Stay.INSIDE, False),
    (Stay.INSIDE, Glimpse.DWELT): (Stay.REPORTED, True),
    (Stay.INSIDE, Glimpse.EDGE): (Stay.INSIDE, False),
    (Stay.INSIDE, Glimpse.OUT): (Stay.OUTSIDE, False),
    (Stay.REPORTED, Glimpse.IN): (Stay.REPORTED, False),
    (Stay.REPORTED, Glimpse.DWELT): (Stay.REPORTED, False),
    (Stay.REPORTED, Glimpse.EDGE): (Stay.REPORTED, False),
    (Stay.REPORTED, Glimpse.OUT): (Stay.OUTSIDE, False),
}
"""(stay, glimpse) -> (new stay, whether the rule fires)."""


STAYS: Final = tuple(Stay)
GLIMPSES: Final = tuple(Glimpse)
# The table as arrays, for all objects at once: rows are stays, columns are glimpses.
AFTER: Final = np.array([[STAYS.index(TRANSITIONS[stay, glimpse][0]) for glimpse in GLIMPSES] for stay in STAYS])
FIRES: Final = np.array([[TRANSITIONS[stay, glimpse][1] for glimpse in GLIMPSES] for stay in STAYS])


@dataclass(frozen=True, slots=True)
class ZoneIntrusionParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_dwell: seconds.
    """

    zone: str
    minimum_dwell: float = DEFAULT_DWELL_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> ZoneIntrusion:
        """See RuleParameters.build."""
        return ZoneIntrusion(self.zone, places.zones[self.zone], self.minimum_dwell, classes)


class ZoneIntrusion:
    """Fires once per stay, when an object of the right class has been inside a zone for the dwell time.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        minimum_dwell: seconds.
        classes: whose stays count.
    """

    topic = "FieldDetector/ObjectsInside"

    def __init__(self, place: str, zone: tuple[Point, ...], minimum_dwell: float, classes: ClassFilter) -> None:
        self.place = place
        self._zone = zone
        self._minimum_dwell = minimum_dwell
        self._classes = classes
        self._objects = TrackTable(stay=(), entered=(), last_inside=())

    def step(self, scene: Scene, among: geometry.Flags | None = None) -> list[Firing]:
        """See Rule.step.

        Args:
            scene: the frame.
            among: who of those present is looked at, n; None: all of the right class.
        """
        looked_at = scene.of(self._classes.classes) if among is None else among
        found = self._look(scene, np.flatnonzero(looked_at))
        self._objects.drop(scene.ended)
        return found

    def reset(self) -> None:
        """See Rule.reset."""
        self._objects.clear()

    def _look(self, scene: Scene, chosen: npt.NDArray[np.intp]) -> list[Firing]:
        memory = self._objects
        rows = memory.take([scene.tracks[index] for index in chosen.tolist()])
        inside, stay = scene.inside(self._zone)[chosen], memory["stay"][rows].astype(np.intp)
        memory["entered"][rows[inside & (stay == STAYS.index(Stay.OUTSIDE))]] = scene.time
        memory["last_inside"][rows[inside]] = scene.time
        dwelt = scene.time - memory["entered"][rows] >= self._minimum_dwell
        glimpses = np.where(dwelt, GLIMPSES.index(Glimpse.DWELT), GLIMPSES.index(Glimpse.IN))
        long = scene.time - memory["last_inside"][rows] > LEAVING_SECONDS
        left = gone(scene, self._zone, chosen, ~inside & (stay != STAYS.index(Stay.OUTSIDE)) & long)
        glimpses[~inside] = np.where(left, GLIMPSES.index(Glimpse.OUT), GLIMPSES.index(Glimpse.EDGE))[~inside]
        memory["stay"][rows] = AFTER[stay, glimpses]
        return [
            self._explain(scene.present[chosen[index]], float(memory["entered"][rows[index]]), scene.time)
            for index in np.flatnonzero(FIRES[stay, glimpses]).tolist()
        ]

    def _explain(self, presence: Presence, entered: float, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=entered,
            quantity="dwell",
            unit="s",
            value=time - entered,
            threshold=self._minimum_dwell,
            uncertainty=0.0,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )


def gone(scene: Scene, zone: tuple[Point, ...], chosen: npt.NDArray[np.intp], asked: geometry.Flags) -> geometry.Flags:
    """Who is far enough outside a zone to have left it, len(chosen).

    Args:
        scene: the frame.
        zone: its corners, normalised.
        chosen: of whom, as positions among those present.
        asked: of whom of them it matters; of the others the answer is no.
    """
    left = np.zeros(len(chosen), dtype=np.bool_)
    if asked.any():
        corners = geometry.scaled(zone, scene.width, scene.height)
        some = chosen[asked]
        outside = geometry.distances_to_chain(scene.feet[some], (*corners, corners[0]))
        left[asked] = outside > LEAVING_HEIGHTS * scene.heights[some]
    return left
