"""Slow traffic: the vehicles of a lane are much slower than when it is free; when they stand, it is a queue.

One topic for both. A queue is slow traffic gone further: the same lane, the same cause, the same answer of whoever
reads it, and a jam that was told as slow and then comes to a stop must not look like two incidents. What was measured
says which it is: "mean speed" in km/h, or "queue length" in metres. An episode is told once as slow and once more when
it becomes a queue; one that is a queue from the beginning is told once, as that.

The speed of a lane is the mean over its vehicles of the mean speed of each in the last ten seconds: each vehicle counts
once, so that one that is parked does not make a slow lane (that is `stopped_vehicle`). Free flow is given, or learned
as the 85th percentile of the speeds of those who drove through while the lane was not slow.
"""

from __future__ import annotations

import enum
import itertools
import math
import statistics
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.lanes import Course
from detector.domain.rules import ClassFilter, Firing, around, require_calibration
from detector.domain.rules.clock import SceneClock
from detector.domain.rules.episode import Episode, Phase
from detector.domain.rules.vehicles import vehicles_by_default
from detector.domain.trails import MAXIMUM_SPEED_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.scene import Lane, Places, Presence, Scene

KMH: Final = 3.6
"""Kilometres per hour in a metre per second."""
DEFAULT_SHARE: Final = 0.5
DEFAULT_SECONDS: Final = 30.0
SPEED_WINDOW_SECONDS: Final = 2.0
"""A vehicle's speed is the way of this time."""
LANE_WINDOW_SECONDS: Final = 10.0
"""A lane's speed is the mean of this time."""
STEP_SECONDS: Final = 0.5
"""How often a lane is looked at."""
MINIMUM_VEHICLES: Final = 3
"""Fewer make neither traffic nor a queue."""
HYSTERESIS: Final = 1.2
"""A lane is free again when it is faster than the threshold by this factor."""
RELEASE_SECONDS: Final = 5.0
LEARNING_VEHICLES: Final = 100
"""A percentile of fewer speeds says too little; the usual size of a spot speed study."""
REMEMBERED_VEHICLES: Final = 1000
FREE_FLOW_PERCENTILE: Final = 85.0
STANDING_SPEED: Final = 5.0 / KMH
QUEUE_GAP_METRES: Final = 20.0
"""Standing vehicles no farther apart than this are one queue: foot to foot, so a bus and a gap."""

VEHICLE_METRES: Final = 5.0
"""A queue is measured from foot to foot: a vehicle's length is missing."""


class Level(enum.Enum):
    """How a lane flows, as far as it was told."""

    FLOWING = enum.auto()
    SLOW = enum.auto()
    QUEUE = enum.auto()


class Notice(enum.Enum):
    """What a look at the lane says."""

    NOTHING = enum.auto()
    SLOW = enum.auto()
    """It has been slow for long enough, and does not stand."""
    STANDS = enum.auto()
    """It has been slow for long enough and stands, or has stood for long enough."""
    OVER = enum.auto()
    """It is not slow, or no longer."""


TRANSITIONS: Final[Mapping[tuple[Level, Notice], tuple[Level, bool]]] = {
    (Level.FLOWING, Notice.NOTHING): (Level.FLOWING, False),
    (Level.FLOWING, Notice.SLOW): (Level.SLOW, True),
    (Level.FLOWING, Notice.STANDS): (Level.QUEUE, True),
    (Level.FLOWING, Notice.OVER): (Level.FLOWING, False),
    (Level.SLOW, Notice.NOTHING): (Level.SLOW, False),
    (Level.SLOW, Notice.SLOW): (Level.SLOW, False),
    (Level.SLOW, Notice.STANDS): (Level.QUEUE, True),
    (Level.SLOW, Notice.OVER): (Level.FLOWING, False),
    (Level.QUEUE, Notice.NOTHING): (Level.QUEUE, False),
    (Level.QUEUE, Notice.SLOW): (Level.QUEUE, False),
    (Level.QUEUE, Notice.STANDS): (Level.QUEUE, False),
    (Level.QUEUE, Notice.OVER): (Level.FLOWING, False),
}
"""(level, notice) -> (new level, whether the rule fires)."""


@dataclass(frozen=True, slots=True)
class SlowTrafficParameters:
    """See RuleParameters.

    Attributes:
        lane: resource name.
        free_flow: metres per second; 0: learned.
        maximum_share: of the free flow, below which the lane is slow.
        minimum_duration: seconds.
    """

    lane: str
    free_flow: float = 0.0
    maximum_share: float = DEFAULT_SHARE
    minimum_duration: float = DEFAULT_SECONDS

    def build(self, places: Places, classes: ClassFilter) -> SlowTraffic:
        """See RuleParameters.build."""
        return SlowTraffic(self, places.lanes[self.lane], require_calibration(places), classes)


class FreeFlow:
    """The speed of a lane that is not slow, learned from those who drive through.

    Args:
        given: metres per second; 0: learned.
    """

    def __init__(self, given: float) -> None:
        self._speeds: deque[float] = deque(maxlen=REMEMBERED_VEHICLES)
        self._given = given
        self._learned: float | None = None

    @property
    def speed(self) -> float | None:
        """Metres per second; None: not given, and not enough was seen to learn it."""
        return self._given or self._learned

    def learn(self, speed: float) -> None:
        """Take the mean speed of one vehicle that has driven through, metres per second."""
        self._speeds.append(speed)
        if not self._given and len(self._speeds) >= LEARNING_VEHICLES:
            self._learned = float(np.percentile(self._speeds, FREE_FLOW_PERCENTILE))


@dataclass(frozen=True, slots=True)
class _Vehicle:
    """One vehicle at one look: metres per second, and metres along the lane's course."""

    presence: Presence
    speed: float
    along: float


@dataclass(frozen=True, slots=True)
class _LaneSpeed:
    """Metres per second, and its standard error."""

    mean: float
    error: float


@dataclass(frozen=True, slots=True)
class _Measured:
    """See Firing."""

    quantity: str
    unit: str
    value: float
    threshold: float
    uncertainty: float


class LaneSpeeds:
    """Who drove how fast in a lane within the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[int, float]]] = deque()
        self._passages: dict[int, tuple[float, int]] = {}
        """Track -> sum of its speeds, and how many they are."""

    def step(self, time: float, speeds: Mapping[int, float]) -> list[float]:
        """Take one look: track -> metres per second; the mean speeds of those who have left since the last one."""
        self._looks.append((time, dict(speeds)))
        while time - self._looks[0][0] > LANE_WINDOW_SECONDS:
            self._looks.popleft()
        recent = {track for _, look in self._looks for track in look}
        left = [self._passages.pop(track) for track in list(self._passages) if track not in recent]
        for track, speed in speeds.items():
            total, number = self._passages.get(track, (0.0, 0))
            self._passages[track] = total + speed, number + 1
        return [total / number for total, number in left]

    def mean(self) -> _LaneSpeed | None:
        """Of all vehicles; None when there were too few to speak of traffic."""
        each: defaultdict[int, list[float]] = defaultdict(list)
        for _, look in self._looks:
            for track, speed in look.items():
                each[track].append(speed)
        means = [statistics.fmean(speeds) for speeds in each.values()]
        if len(means) < MINIMUM_VEHICLES:
            return None
        return _LaneSpeed(statistics.fmean(means), statistics.stdev(means) / math.sqrt(len(means)))

    def clear(self) -> None:
        """Forget everybody."""
        self._looks.clear()
        self._passages.clear()


class SlowTraffic:
    """Fires when a lane has been slow for a while, and when it has come to a stop.

    Args:
        parameters: see SlowTrafficParameters.
        lane: normalised.
        calibration: of the optic.
        classes: whose speeds count; road vehicles when it names none.

    Raises:
        RuleCannotRunError: the lane's course is not on the ground.
    """

    topic = "Argo/SlowTraffic"

    def __init__(
        self, parameters: SlowTrafficParameters, lane: Lane, calibration: Calibration, classes: ClassFilter
    ) -> None:
        self.place = parameters.lane
        self._parameters = parameters
        self._polygon = lane.polygon
        self._course = Course(lane, calibration)
        self._classes = vehicles_by_default(classes)
        self._clock = SceneClock()
        self._speeds = LaneSpeeds()
        self.free_flow = FreeFlow(parameters.free_flow)
        """Survives a reset: how fast a lane is when it is free does not depend on the hours of the rule."""
        self._slow = Episode(parameters.minimum_duration, RELEASE_SECONDS)
        self._standing = Episode(parameters.minimum_duration, RELEASE_SECONDS)
        self._level = Level.FLOWING
        self._looked = -math.inf

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._clock.set_back(scene.time):
            self.reset()
        if scene.time - self._looked < STEP_SECONDS:
            return []
        self._looked = scene.time
        movements = scene.movements(SPEED_WINDOW_SECONDS)
        measured = movements.known & (movements.speed_error <= MAXIMUM_SPEED_ERROR)
        chosen = np.flatnonzero(scene.occupying(self._polygon, self._classes.classes) & measured)
        along = self._course.at(movements.position[chosen]).along
        vehicles = [
            _Vehicle(scene.present[index], float(movements.speed[index]), metres)
            for index, metres in zip(chosen.tolist(), along.tolist(), strict=True)
        ]
        return self._look(vehicles, scene.time)

    def reset(self) -> None:
        """See Rule.reset. The learned free flow stays."""
        self._speeds.clear()
        self._slow.reset()
        self._standing.reset()
        self._level = Level.FLOWING
        self._looked = -math.inf

    def _look(self, vehicles: Sequence[_Vehicle], time: float) -> list[Firing]:
        left = self._speeds.step(time, {item.presence.track: item.speed for item in vehicles})
        if self._slow.phase is Phase.QUIET:
            for speed in left:
                self.free_flow.learn(speed)
        free, mean = self.free_flow.speed, self._speeds.mean()
        if free is None:
            return []
        threshold = self._parameters.maximum_share * free
        queue = self._queue(vehicles)
        slow = bool(vehicles) and mean is not None and mean.mean < threshold
        notice = self._notice(time, slow=slow, stands=slow and bool(queue), free=_is_free(mean, threshold))
        self._level, fires = TRANSITIONS[self._level, notice]
        if not fires or mean is None:
            return []
        return [self._explain_queue(queue, time) if queue else self._explain_slow(vehicles, mean, threshold, time)]

    def _notice(self, time: float, *, slow: bool, stands: bool, free: bool) -> Notice:
        long_slow = self._slow.step(time, holds=slow, over=free)
        long_standing = self._standing.step(time, holds=stands, over=not stands)
        if self._slow.phase is not Phase.REPORTED:
            return Notice.OVER
        if stands and (long_slow or long_standing):
            return Notice.STANDS
        return Notice.SLOW if long_slow else Notice.NOTHING

    def _queue(self, vehicles: Sequence[_Vehicle]) -> list[_Vehicle]:
        """The longest row of standing vehicles, front first or last; empty when there is none."""
        standing = sorted((item for item in vehicles if item.speed <= STANDING_SPEED), key=lambda item: item.along)
        rows: list[list[_Vehicle]] = [[item] for item in standing[:1]]
        for before, item in itertools.pairwise(standing):
            if item.along - before.along <= QUEUE_GAP_METRES:
                rows[-1].append(item)
            else:
                rows.append([item])
        longest = max(rows, key=len, default=[])
        return longest if len(longest) >= MINIMUM_VEHICLES else []

    def _explain_slow(self, vehicles: Sequence[_Vehicle], mean: _LaneSpeed, threshold: float, time: float) -> Firing:
        measured = _Measured("mean speed", "km/h", mean.mean * KMH, threshold * KMH, mean.error * KMH)
        return _firing(vehicles, time, self._slow.since, measured)

    def _explain_queue(self, queue: Sequence[_Vehicle], time: float) -> Firing:
        length = queue[-1].along - queue[0].along
        return _firing(queue, time, self._standing.since, _Measured("queue length", "m", length, 0.0, VEHICLE_METRES))


def _is_free(mean: _LaneSpeed | None, threshold: float) -> bool:
    return mean is None or mean.mean > threshold * HYSTERESIS


def _firing(vehicles: Sequence[_Vehicle], time: float, start_time: float, measured: _Measured) -> Firing:
    return Firing(
        time=time,
        start_time=start_time,
        quantity=measured.quantity,
        unit=measured.unit,
        value=measured.value,
        threshold=measured.threshold,
        uncertainty=measured.uncertainty,
        tracks=tuple(item.presence.track for item in vehicles),
        classes=tuple(item.presence.object_class for item in vehicles),
        box=around([item.presence.box for item in vehicles]),
    )
