"""ONVIF tns1:RuleEngine/FieldDetector/ObjectsInside: an object stays inside a zone for a while."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain import geometry
from detector.domain.rules import ClassFilter, Firing

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(slots=True)
class _Memory:
    stay: Stay
    entered: float
    last_inside: float


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
        self._objects: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        zone = geometry.scaled(self._zone, scene.width, scene.height)
        found = [
            self._look(presence, zone, scene.time)
            for presence in scene.present
            if self._classes.admits(presence.object_class)
        ]
        for track in scene.ended:
            self._objects.pop(track, None)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._objects.clear()

    def _look(self, presence: Presence, zone: tuple[Point, ...], time: float) -> Firing | None:
        distance = geometry.distance_to_polygon(presence.foot, zone) / presence.height
        memory = self._objects.setdefault(presence.track, _Memory(Stay.OUTSIDE, time, time))
        if distance == 0.0:
            memory.last_inside = time
            if memory.stay is Stay.OUTSIDE:
                memory.entered = time
        memory.stay, fires = TRANSITIONS[memory.stay, self._glimpse(memory, distance, time)]
        return self._explain(presence, memory, time) if fires else None

    def _glimpse(self, memory: _Memory, distance: float, time: float) -> Glimpse:
        if distance == 0.0:
            return Glimpse.DWELT if time - memory.entered >= self._minimum_dwell else Glimpse.IN
        gone = distance > LEAVING_HEIGHTS and time - memory.last_inside > LEAVING_SECONDS
        return Glimpse.OUT if gone else Glimpse.EDGE

    def _explain(self, presence: Presence, memory: _Memory, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.entered,
            quantity="dwell",
            unit="s",
            value=time - memory.entered,
            threshold=self._minimum_dwell,
            uncertainty=0.0,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )
