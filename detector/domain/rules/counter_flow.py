"""The net flow over a line turns round, or a part of it goes against the rest.

A flow is a number of crossings within the interval. Where it always goes both ways there is no rest to go against, and
nothing is told: a line has a course only once most went one way.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.rules import ClassFilter, Firing, around
from detector.domain.rules.line_crossing import Crossing, Direction, LineWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.detections import ObjectClass
    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Scene

DEFAULT_INTERVAL_SECONDS: Final = 60.0
DEFAULT_CROSSINGS: Final = 20
DEFAULT_SHARE: Final = 0.35
ONE_WAY_SHARE: Final = 0.6
"""The flow goes one way when the smaller direction is below this share of the share that makes it counter-flow."""
FORGET_SECONDS: Final = 120.0
"""A line that was crossed too rarely for so long, and for an interval at least, has no course any more."""


class Course(enum.Enum):
    """How a line is crossed."""

    UNKNOWN = enum.auto()
    RIGHTWARD = enum.auto()
    """Most from left to right."""
    LEFTWARD = enum.auto()
    BOTH = enum.auto()
    """Both ways, as far back as is known."""
    BOTH_AFTER_RIGHTWARD = enum.auto()
    BOTH_AFTER_LEFTWARD = enum.auto()


class Reading(enum.Enum):
    """What the crossings of the last interval say."""

    UNCLEAR = enum.auto()
    """Too few, or neither one way nor both."""
    RIGHTWARD = enum.auto()
    LEFTWARD = enum.auto()
    BOTH = enum.auto()
    NOTHING = enum.auto()
    """Too few for so long that what was before means nothing any more."""


class Change(enum.Enum):
    """What is told."""

    NONE = enum.auto()
    COUNTER_FLOW = enum.auto()
    REVERSAL = enum.auto()


TRANSITIONS: Final[Mapping[tuple[Course, Reading], tuple[Course, Change]]] = {
    (Course.UNKNOWN, Reading.UNCLEAR): (Course.UNKNOWN, Change.NONE),
    (Course.UNKNOWN, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.NONE),
    (Course.UNKNOWN, Reading.LEFTWARD): (Course.LEFTWARD, Change.NONE),
    (Course.UNKNOWN, Reading.BOTH): (Course.BOTH, Change.NONE),
    (Course.UNKNOWN, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
    (Course.RIGHTWARD, Reading.UNCLEAR): (Course.RIGHTWARD, Change.NONE),
    (Course.RIGHTWARD, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.NONE),
    (Course.RIGHTWARD, Reading.LEFTWARD): (Course.LEFTWARD, Change.REVERSAL),
    (Course.RIGHTWARD, Reading.BOTH): (Course.BOTH_AFTER_RIGHTWARD, Change.COUNTER_FLOW),
    (Course.RIGHTWARD, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
    (Course.LEFTWARD, Reading.UNCLEAR): (Course.LEFTWARD, Change.NONE),
    (Course.LEFTWARD, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.REVERSAL),
    (Course.LEFTWARD, Reading.LEFTWARD): (Course.LEFTWARD, Change.NONE),
    (Course.LEFTWARD, Reading.BOTH): (Course.BOTH_AFTER_LEFTWARD, Change.COUNTER_FLOW),
    (Course.LEFTWARD, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
    (Course.BOTH, Reading.UNCLEAR): (Course.BOTH, Change.NONE),
    (Course.BOTH, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.NONE),
    (Course.BOTH, Reading.LEFTWARD): (Course.LEFTWARD, Change.NONE),
    (Course.BOTH, Reading.BOTH): (Course.BOTH, Change.NONE),
    (Course.BOTH, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
    (Course.BOTH_AFTER_RIGHTWARD, Reading.UNCLEAR): (Course.BOTH_AFTER_RIGHTWARD, Change.NONE),
    (Course.BOTH_AFTER_RIGHTWARD, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.NONE),
    (Course.BOTH_AFTER_RIGHTWARD, Reading.LEFTWARD): (Course.LEFTWARD, Change.REVERSAL),
    (Course.BOTH_AFTER_RIGHTWARD, Reading.BOTH): (Course.BOTH_AFTER_RIGHTWARD, Change.NONE),
    (Course.BOTH_AFTER_RIGHTWARD, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
    (Course.BOTH_AFTER_LEFTWARD, Reading.UNCLEAR): (Course.BOTH_AFTER_LEFTWARD, Change.NONE),
    (Course.BOTH_AFTER_LEFTWARD, Reading.RIGHTWARD): (Course.RIGHTWARD, Change.REVERSAL),
    (Course.BOTH_AFTER_LEFTWARD, Reading.LEFTWARD): (Course.LEFTWARD, Change.NONE),
    (Course.BOTH_AFTER_LEFTWARD, Reading.BOTH): (Course.BOTH_AFTER_LEFTWARD, Change.NONE),
    (Course.BOTH_AFTER_LEFTWARD, Reading.NOTHING): (Course.UNKNOWN, Change.NONE),
}
"""(course, reading) -> (new course, what is told)."""


@dataclass(frozen=True, slots=True)
class CounterFlowParameters:
    """See RuleParameters.

    Attributes:
        line: resource name.
        interval: over which time flow is counted, seconds.
        minimum_crossings: how many crossings make a flow.
        minimum_share: of the smaller direction, from which on it is counter-flow; 0 to 0.5.
    """

    line: str
    interval: float = DEFAULT_INTERVAL_SECONDS
    minimum_crossings: int = DEFAULT_CROSSINGS
    minimum_share: float = DEFAULT_SHARE

    def build(self, places: Places, classes: ClassFilter) -> CounterFlow:
        """See RuleParameters.build."""
        return CounterFlow(self, places.lines[self.line], classes)


@dataclass(frozen=True, slots=True)
class _Crossed:
    time: float
    direction: Direction
    track: int
    object_class: ObjectClass
    box: tuple[float, float, float, float]
    """Normalised: the picture may change its size within the interval."""


class CounterFlow:
    """Fires when a part of the flow over a line goes against the rest, and when the flow has turned round.

    Args:
        parameters: what it watches for.
        line: vertices, normalised.
        classes: whose crossings count.
    """

    topic = "Argo/CounterFlow"

    def __init__(self, parameters: CounterFlowParameters, line: tuple[Point, ...], classes: ClassFilter) -> None:
        self.place = parameters.line
        self._parameters = parameters
        self._classes = classes
        self._watch = LineWatch(line)
        self._crossed: deque[_Crossed] = deque()
        self._course = Course.UNKNOWN
        self._flowed = -math.inf

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if scene.time < self._flowed or (self._crossed and scene.time < self._crossed[-1].time):
            self.reset()
        found = self._watch.step(scene)
        self._crossed.extend(
            _remembered(crossing, scene) for crossing in found if self._classes.admits(crossing.presence.object_class)
        )
        while self._crossed and scene.time - self._crossed[0].time > self._parameters.interval:
            self._crossed.popleft()
        course, change = TRANSITIONS[self._course, self._reading(scene.time)]
        self._course = course
        return [] if change is Change.NONE else [self._explain(scene, change)]

    def reset(self) -> None:
        """See Rule.reset."""
        self._watch.reset()
        self._crossed.clear()
        self._course = Course.UNKNOWN
        self._flowed = -math.inf

    def _reading(self, time: float) -> Reading:
        parameters, total = self._parameters, len(self._crossed)
        if total < parameters.minimum_crossings:
            forgotten = time - self._flowed > max(FORGET_SECONDS, parameters.interval)
            return Reading.NOTHING if forgotten else Reading.UNCLEAR
        self._flowed = time
        rightward = sum(crossed.direction is Direction.LEFT_TO_RIGHT for crossed in self._crossed) / total
        smaller = min(rightward, 1.0 - rightward)
        if smaller >= parameters.minimum_share:
            return Reading.BOTH
        if smaller >= ONE_WAY_SHARE * parameters.minimum_share:
            return Reading.UNCLEAR
        return Reading.RIGHTWARD if rightward > smaller else Reading.LEFTWARD

    def _explain(self, scene: Scene, change: Change) -> Firing:
        against = self._against(change)
        total = len(self._crossed)
        share = len(against) / total
        counter = change is Change.COUNTER_FLOW
        quantity = "share of the flow against the rest" if counter else "share of the flow that has turned round"
        one_way = 1.0 - ONE_WAY_SHARE * self._parameters.minimum_share
        size = (scene.width, scene.height) * 2
        boxes = [tuple(part * side for part, side in zip(item.box, size, strict=True)) for item in against]
        return Firing(
            time=scene.time,
            start_time=against[0].time,
            quantity=f"{quantity} ({total} crossings in {self._parameters.interval:g} s)",
            unit="",
            value=share,
            threshold=self._parameters.minimum_share if counter else one_way,
            # Of a share of so many crossings: binomial.
            uncertainty=math.sqrt(share * (1.0 - share) / total),
            tracks=tuple(item.track for item in against),
            classes=tuple(item.object_class for item in against),
            box=around([(left, top, right, bottom) for left, top, right, bottom in boxes]),
        )

    def _against(self, change: Change) -> list[_Crossed]:
        """The crossings that the change is about: the smaller direction, or the one that the flow has now."""
        rightward = [item for item in self._crossed if item.direction is Direction.LEFT_TO_RIGHT]
        leftward = [item for item in self._crossed if item.direction is Direction.RIGHT_TO_LEFT]
        fewer, more = sorted((rightward, leftward), key=len)
        return fewer if change is Change.COUNTER_FLOW else more


def _remembered(crossing: Crossing, scene: Scene) -> _Crossed:
    left, top, right, bottom = crossing.presence.box
    return _Crossed(
        scene.time,
        crossing.direction,
        crossing.presence.track,
        crossing.presence.object_class,
        (left / scene.width, top / scene.height, right / scene.width, bottom / scene.height),
    )
