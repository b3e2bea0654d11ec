"""A thing stands alone, and whoever brought it is away (the definition of the PETS 2006 and i-LIDS scenarios).

Weak in the field (domain.md section 4): it runs in shadow until its scorecard is good. Whoever brought it is the
person nearest to it when it came to stand, followed by nothing but the track; when that track breaks beside the thing,
whoever is seen there within moments takes its place, so that a tracker's mistake makes no alarm.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter, Firing, require_calibration

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Presence, Scene

DEFAULT_SECONDS: Final = 60.0
DEFAULT_DISTANCE_METRES: Final = 3.0
DEFAULT_ABSENCE_SECONDS: Final = 30.0
STILL_METRES: Final = 0.75
"""A thing that is carried moves farther than this; one that stands only sways with its detection."""
HANDOVER_SECONDS: Final = 2.0
"""For so long after an owner was last seen near, somebody else near the thing is taken for them."""


class Standing(enum.Enum):
    """Where a thing is in its story."""

    CARRIED = enum.auto()
    """It moves."""
    ATTENDED = enum.auto()
    """It stands, and whoever brought it is near."""
    ALONE = enum.auto()
    """It stands, and nobody who brought it is near."""
    REPORTED = enum.auto()


class Sign(enum.Enum):
    """What a frame says of it."""

    MOVES = enum.auto()
    OWNER_NEAR = enum.auto()
    OWNER_AWAY = enum.auto()
    ABANDONED = enum.auto()
    """The owner is away, and by now the thing has stood, and the owner has been away, for long enough."""


TRANSITIONS: Final[Mapping[tuple[Standing, Sign], tuple[Standing, bool]]] = {
    (Standing.CARRIED, Sign.MOVES): (Standing.CARRIED, False),
    (Standing.CARRIED, Sign.OWNER_NEAR): (Standing.ATTENDED, False),
    (Standing.CARRIED, Sign.OWNER_AWAY): (Standing.ALONE, False),
    (Standing.CARRIED, Sign.ABANDONED): (Standing.REPORTED, True),
    (Standing.ATTENDED, Sign.MOVES): (Standing.CARRIED, False),
    (Standing.ATTENDED, Sign.OWNER_NEAR): (Standing.ATTENDED, False),
    (Standing.ATTENDED, Sign.OWNER_AWAY): (Standing.ALONE, False),
    (Standing.ATTENDED, Sign.ABANDONED): (Standing.REPORTED, True),
    (Standing.ALONE, Sign.MOVES): (Standing.CARRIED, False),
    (Standing.ALONE, Sign.OWNER_NEAR): (Standing.ATTENDED, False),
    (Standing.ALONE, Sign.OWNER_AWAY): (Standing.ALONE, False),
    (Standing.ALONE, Sign.ABANDONED): (Standing.REPORTED, True),
    (Standing.REPORTED, Sign.MOVES): (Standing.CARRIED, False),
    (Standing.REPORTED, Sign.OWNER_NEAR): (Standing.ATTENDED, False),
    (Standing.REPORTED, Sign.OWNER_AWAY): (Standing.REPORTED, False),
    (Standing.REPORTED, Sign.ABANDONED): (Standing.REPORTED, False),
}
"""(standing, sign) -> (new standing, whether the rule fires)."""


@dataclass(frozen=True, slots=True)
class AbandonedObjectParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: for how long the thing stands, seconds.
        owner_distance: farther than this is away, metres.
        owner_absence: for how long the owner is away, seconds.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS
    owner_distance: float = DEFAULT_DISTANCE_METRES
    owner_absence: float = DEFAULT_ABSENCE_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> AbandonedObject:
        """See RuleParameters.build; without classes the rule is about luggage."""
        require_calibration(places)
        wanted = classes if classes.classes else ClassFilter(frozenset({ObjectClass.LUGGAGE}))
        return AbandonedObject(self.zone, places.zones[self.zone], self, wanted)


@dataclass(slots=True)
class _Memory:
    standing: Standing
    anchor: Point
    """Metres: where it came to stand."""
    since: float
    owner: int | None
    owner_seen: float
    """When the owner was last near."""


class AbandonedObject:
    """Fires once for each thing that was left behind.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        parameters: distances and times.
        classes: which things.
    """

    topic = "Argo/AbandonedObject"

    def __init__(
        self, place: str, zone: tuple[Point, ...], parameters: AbandonedObjectParameters, classes: ClassFilter
    ) -> None:
        self.place = place
        self._zone = zone
        self._parameters = parameters
        self._classes = classes
        self._things: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        people = {
            presence.track: presence.ground
            for presence in scene.present
            if presence.object_class is ObjectClass.PERSON and presence.ground is not None
        }
        things = [
            presence
            for presence in scene.occupants(self._zone, self._classes.classes)
            if presence.object_class is not ObjectClass.PERSON
        ]
        found = [self._look(thing, people, scene.time) for thing in things]
        for track in scene.ended:
            self._things.pop(track, None)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._things.clear()

    def _look(self, thing: Presence, people: Mapping[int, Point], time: float) -> Firing | None:
        if thing.ground is None:
            return None
        position = thing.ground
        memory = self._things.get(thing.track)
        if memory is None:
            # Never seen with anybody: it counts from now on as if its owner had just left.
            memory = self._things[thing.track] = _Memory(
                Standing.CARRIED, position, time, self._nearest(position, people), time
            )
        memory.standing, fires = TRANSITIONS[memory.standing, self._sign(memory, position, people, time)]
        return self._explain(thing, memory, time) if fires else None

    def _sign(self, memory: _Memory, position: Point, people: Mapping[int, Point], time: float) -> Sign:
        if math.dist(position, memory.anchor) > STILL_METRES:
            memory.anchor, memory.since = position, time
            memory.owner, memory.owner_seen = self._nearest(position, people), time
            return Sign.MOVES
        if self._owner_near(memory, people, time):
            memory.owner_seen = time
            return Sign.OWNER_NEAR
        stood = time - memory.since >= self._parameters.minimum_duration
        away = time - memory.owner_seen >= self._parameters.owner_absence
        return Sign.ABANDONED if stood and away else Sign.OWNER_AWAY

    def _owner_near(self, memory: _Memory, people: Mapping[int, Point], time: float) -> bool:
        owner = None if memory.owner is None else people.get(memory.owner)
        if owner is not None:
            return math.dist(owner, memory.anchor) <= self._parameters.owner_distance
        if time - memory.owner_seen > HANDOVER_SECONDS:
            return False
        heir = self._nearest(memory.anchor, people)
        memory.owner = memory.owner if heir is None else heir
        return heir is not None

    def _nearest(self, position: Point, people: Mapping[int, Point]) -> int | None:
        """Whoever is nearest, and near at all."""
        near = {
            track: distance
            for track, place in people.items()
            if (distance := math.dist(place, position)) <= self._parameters.owner_distance
        }
        return min(near, key=lambda track: near[track]) if near else None

    def _explain(self, thing: Presence, memory: _Memory, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.since,
            quantity="without its owner",
            unit="s",
            value=time - memory.owner_seen,
            threshold=self._parameters.owner_absence,
            uncertainty=0.0,
            tracks=(thing.track,),
            classes=(thing.object_class,),
            box=thing.box,
        )
