"""Somebody lies on the ground and does not get up.

Weak in the field (domain.md section 4): it runs in shadow until its scorecard is good. A person who lies is wider than
high and stays where they are; of who it is or how they are built nothing is measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain import geometry
from detector.domain.detections import ObjectClass
from detector.domain.rules import Firing
from detector.domain.rules.episode import Episode

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.rules import ClassFilter
    from detector.domain.scene import Places, Presence, Scene

DEFAULT_SECONDS: Final = 10.0
LYING_RATIO: Final = 1.1
"""Width over height of the box from which on somebody lies; who stands has about 0.4, who sits about 0.8."""
UPRIGHT_RATIO: Final = 0.9
"""Below it somebody has got up."""
STILL_WIDTHS: Final = 0.5
"""Somebody who lies moves less than this, in widths of the box, from where they began to lie."""
RELEASE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class PersonDownParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS

    def build(self, places: Places, _classes: ClassFilter) -> PersonDown:
        """See RuleParameters.build; the rule is about persons, whatever the classes."""
        return PersonDown(self.zone, places.zones[self.zone], self.minimum_duration)


@dataclass(slots=True)
class _Memory:
    episode: Episode
    anchor: Point
    """Where the box's middle was when somebody began to lie."""


class PersonDown:
    """Fires once for each person who lies in a zone for long enough.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        minimum_duration: seconds.
    """

    topic = "Argo/PersonDown"

    def __init__(self, place: str, zone: tuple[Point, ...], minimum_duration: float) -> None:
        self.place = place
        self._zone = zone
        self._minimum_duration = minimum_duration
        self._people: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        zone = geometry.scaled(self._zone, scene.width, scene.height)
        people = [presence for presence in scene.present if presence.object_class is ObjectClass.PERSON]
        found = [self._look(presence, zone, scene.time) for presence in people]
        for track in scene.ended:
            self._people.pop(track, None)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._people.clear()

    def _look(self, presence: Presence, zone: tuple[Point, ...], time: float) -> Firing | None:
        left, top, right, bottom = presence.box
        width, middle = max(right - left, 1.0), ((left + right) / 2, (top + bottom) / 2)
        ratio = width / presence.height
        fresh = _Memory(Episode(self._minimum_duration, RELEASE_SECONDS), middle)
        memory = self._people.setdefault(presence.track, fresh)
        lies = ratio >= LYING_RATIO and geometry.inside(presence.foot, zone)
        moved = math.dist(middle, memory.anchor) > STILL_WIDTHS * width
        if moved:
            # Whoever crawls or is carried does not lie in one place: the wait begins anew.
            memory.anchor = middle
            memory.episode.reset()
        if not memory.episode.step(time, holds=lies, over=ratio <= UPRIGHT_RATIO):
            return None
        return self._explain(presence, memory, time)

    def _explain(self, presence: Presence, memory: _Memory, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.episode.since,
            quantity="lying",
            unit="s",
            value=time - memory.episode.since,
            threshold=self._minimum_duration,
            uncertainty=0.0,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )
