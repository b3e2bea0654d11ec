"""ONVIF tns1:RuleEngine/LineDetector/Crossed: an object crosses a line.

Somebody who stands on the line and sways must not cross it with every frame. So a crossing counts from the last place
where the object was clear of the line to the next such place, by more than a share of its own height.
"""

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


_STANDINGS: Final = tuple(Standing)
_MOVES: Final = tuple(Move)
_NONE: Final = (Standing.UNKNOWN, False)
# The table as arrays, for all objects at once: rows are standings, columns are moves. Who was never clear of the line
# cannot have crossed it.
_AFTER: Final = np.array(
    [[_STANDINGS.index(TRANSITIONS.get((state, move), _NONE)[0]) for move in _MOVES] for state in _STANDINGS]
)
_CROSSED: Final = np.array([[TRANSITIONS.get((state, move), _NONE)[1] for move in _MOVES] for state in _STANDINGS])


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
    """Finds the crossings of one line. Of several for the same line the first that sees a frame answers for all.

    Args:
        line: vertices, normalised.
    """

    def __init__(self, line: tuple[Point, ...]) -> None:
        self._line = line
        self._objects = TrackTable(standing=(), anchor=(2,), anchor_time=())
        """The anchor is the last place clear of the line."""

    def step(self, scene: Scene) -> list[Crossing]:
        """The crossings that this frame completes."""
        found = scene.crossed.get(self._line)
        if found is None:
            found = scene.crossed[self._line] = self._look(scene) if scene.present else []
            self._objects.drop(scene.ended)
        return found

    def reset(self) -> None:
        """Forget where everybody was."""
        self._objects.clear()

    def _look(self, scene: Scene) -> list[Crossing]:
        line = geometry.scaled(self._line, scene.width, scene.height)
        rows = self._objects.take(scene.tracks)
        standing = self._objects["standing"][rows].astype(np.intp)
        clearance = geometry.distances_to_chain(scene.feet, line) / scene.heights
        net = geometry.net_crossings(self._objects["anchor"][rows], scene.feet, line)
        net[standing == _STANDINGS.index(Standing.UNKNOWN)] = 0
        apart = np.where(net != 0, _MOVES.index(Move.ACROSS), _MOVES.index(Move.APART))
        move = np.where(clearance >= CLEARANCE_HEIGHTS, apart, _MOVES.index(Move.CLOSE))
        after = _AFTER[standing, move]
        found = [
            Crossing(
                scene.present[index],
                Direction.LEFT_TO_RIGHT if net[index] > 0 else Direction.RIGHT_TO_LEFT,
                float(self._objects["anchor_time"][rows[index]]),
                float(clearance[index]),
            )
            for index in np.flatnonzero(_CROSSED[standing, move]).tolist()
        ]
        clear = after == _STANDINGS.index(Standing.CLEAR)
        self._objects["standing"][rows] = after
        self._objects["anchor"][rows[clear]] = scene.feet[clear]
        self._objects["anchor_time"][rows[clear]] = scene.time
        return found


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
