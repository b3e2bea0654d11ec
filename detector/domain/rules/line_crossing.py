"""ONVIF tns1:RuleEngine/LineDetector/Crossed: an object crosses a line.

Somebody who stands on the line and sways must not cross it with every frame. So a crossing counts from the last place
where the object was clear of the line to the next such place, by more than a share of its own height.
"""

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

CLEARANCE_HEIGHTS: Final = 0.1
"""How far from the line an object is clear of it, in heights of its box: about 17 cm for a person."""


class Direction(enum.Enum):
    """Which crossings count, for somebody who walks along the line."""

    ANY = enum.auto()
    LEFT_TO_RIGHT = enum.auto()
    RIGHT_TO_LEFT = enum.auto()


class Standing(enum.Enum):
    """Where an object is with respect to a line."""

    UNKNOWN = enum.auto()
    """Not yet seen clear of it."""
    CLEAR = enum.auto()
    NEAR = enum.auto()
    """Too close to say on which side; it was clear before."""


class Move(enum.Enum):
    """What a frame says of an object with respect to a line."""

    CLOSE = enum.auto()
    APART = enum.auto()
    """Clear of the line, without having crossed it since it was clear last."""
    ACROSS = enum.auto()
    """Clear of the line, on the other side."""


TRANSITIONS: Final[Mapping[tuple[Standing, Move], tuple[Standing, bool]]] = {
    (Standing.UNKNOWN, Move.CLOSE): (Standing.UNKNOWN, False),
    (Standing.UNKNOWN, Move.APART): (Standing.CLEAR, False),
    (Standing.CLEAR, Move.CLOSE): (Standing.NEAR, False),
    (Standing.CLEAR, Move.APART): (Standing.CLEAR, False),
    (Standing.CLEAR, Move.ACROSS): (Standing.CLEAR, True),
    (Standing.NEAR, Move.CLOSE): (Standing.NEAR, False),
    (Standing.NEAR, Move.APART): (Standing.CLEAR, False),
    (Standing.NEAR, Move.ACROSS): (Standing.CLEAR, True),
}
"""(standing, move) -> (new standing, whether it is a crossing)."""


@dataclass(slots=True)
class _Memory:
    standing: Standing
    anchor: Point
    """The last place clear of the line."""
    anchor_time: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """One object has crossed a line.

    Attributes:
        presence: the object, where it was found on the other side.
        direction: never ANY.
        start_time: when it was last clear of the line on the side it came from, seconds.
        clearance: how far past the line it is, in heights of its box.
    """

    presence: Presence
    direction: Direction
    start_time: float
    clearance: float


class LineWatch:
    """Finds the crossings of one line; shared by the rule and by the counts.

    Args:
        line: vertices, normalised.
    """

    def __init__(self, line: tuple[Point, ...]) -> None:
        self._line = line
        self._objects: dict[int, _Memory] = {}

    def step(self, scene: Scene) -> list[Crossing]:
        """The crossings that this frame completes."""
        line = geometry.scaled(self._line, scene.width, scene.height)
        found = [self._look(presence, line, scene.time) for presence in scene.present]
        for track in scene.ended:
            self._objects.pop(track, None)
        return [crossing for crossing in found if crossing is not None]

    def reset(self) -> None:
        """Forget where everybody was."""
        self._objects.clear()

    def _look(self, presence: Presence, line: tuple[Point, ...], time: float) -> Crossing | None:
        memory = self._objects.setdefault(presence.track, _Memory(Standing.UNKNOWN, presence.foot, time))
        clearance = geometry.distance_to_chain(presence.foot, line) / presence.height
        net = 0 if memory.standing is Standing.UNKNOWN else geometry.crossings(memory.anchor, presence.foot, line)
        apart = Move.ACROSS if net else Move.APART
        move = apart if clearance >= CLEARANCE_HEIGHTS else Move.CLOSE
        memory.standing, crossed = TRANSITIONS[memory.standing, move]
        start_time = memory.anchor_time
        if memory.standing is Standing.CLEAR:
            memory.anchor, memory.anchor_time = presence.foot, time
        if not crossed:
            return None
        direction = Direction.LEFT_TO_RIGHT if net > 0 else Direction.RIGHT_TO_LEFT
        return Crossing(presence, direction, start_time, clearance)


@dataclass(frozen=True, slots=True)
class LineCrossingParameters:
    """See RuleParameters.

    Attributes:
        line: resource name.
        direction: which crossings count.
    """

    line: str
    direction: Direction

    def build(self, places: Places, classes: ClassFilter) -> LineCrossing:
        """See RuleParameters.build."""
        return LineCrossing(self.line, places.lines[self.line], self.direction, classes)


class LineCrossing:
    """Fires when an object of the right class crosses a line in the right direction.

    Args:
        place: resource name of the line.
        line: its vertices, normalised.
        direction: which crossings count.
        classes: whose crossings count.
    """

    topic = "LineDetector/Crossed"

    def __init__(self, place: str, line: tuple[Point, ...], direction: Direction, classes: ClassFilter) -> None:
        self.place = place
        self._watch = LineWatch(line)
        self._direction = direction
        self._classes = classes

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        return [
            Firing(
                time=scene.time,
                start_time=crossing.start_time,
                quantity="distance past the line",
                unit="object heights",
                value=crossing.clearance,
                threshold=CLEARANCE_HEIGHTS,
                uncertainty=0.0,
                tracks=(crossing.presence.track,),
                classes=(crossing.presence.object_class,),
                box=crossing.presence.box,
            )
            for crossing in self._watch.step(scene)
            if self._counts(crossing)
        ]

    def reset(self) -> None:
        """See Rule.reset."""
        self._watch.reset()

    def _counts(self, crossing: Crossing) -> bool:
        right_way = self._direction in (Direction.ANY, crossing.direction)
        return right_way and self._classes.admits(crossing.presence.object_class)
