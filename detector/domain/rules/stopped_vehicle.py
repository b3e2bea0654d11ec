"""Stopped vehicle: a vehicle stands in a zone where traffic flows, and not because all stand: that is a queue.

A vehicle stands when it went no faster than the rule's speed over the last seconds, on the ground: not when the
tracker's velocity of the moment is small, which trembles. Vehicles that stand among others that stand are excused, and
their time begins only when the others are gone: a broken-down car is told some time after its queue has dissolved.
Two vehicles that stand together are no queue: that is what a collision looks like.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.rules import ClassFilter, Firing, require_calibration
from detector.domain.rules.clock import SceneClock
from detector.domain.rules.vehicles import ROAD_VEHICLES, vehicles_by_default

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.geometry import Point
    from detector.domain.scene import Places, Presence, Scene
    from detector.domain.trails import Movement

DEFAULT_SECONDS: Final = 10.0
DEFAULT_SPEED: Final = 1.0 / 3.6
"""Metres per second: 1 km/h."""
WINDOW_SECONDS: Final = (1.0, 4.0)
"""Way over this time is speed: as long as the rule's duration, but within these."""
CERTAIN_ERRORS: Final = 3.0
"""A vehicle moves when its speed is above the rule's by this many standard errors; in between nothing changes."""
NEIGHBOUR_METRES: Final = 20.0
"""Vehicles this near are around it: the largest gap within a queue."""
QUEUE_NEIGHBOURS: Final = 2
"""So many who stand around it, and more of them than move, make a queue."""
CREEPING_SPEED: Final = 5.0 / 3.6
"""Metres per second: slower vehicles around it stand, for the queue: there they creep."""
LOST_SECONDS: Final = 10.0
"""Whoever stands where somebody stood who was lost no longer ago than this is the same, under a new track."""
SAME_PLACE_METRES: Final = 2.0


class Stop(enum.Enum):
    """Where a vehicle is in its stop."""

    MOVING = enum.auto()
    STANDING = enum.auto()
    """Not yet for long enough."""
    QUEUED = enum.auto()
    """Standing among others who stand."""
    REPORTED = enum.auto()


class Sight(enum.Enum):
    """What a frame says of it."""

    MOVES = enum.auto()
    UNSURE = enum.auto()
    """Between standing and moving, too far away to tell, or not measured."""
    STANDS = enum.auto()
    STOOD = enum.auto()
    """Stands, by now for the whole time."""
    QUEUES = enum.auto()
    """Stands, and so do those around it."""


TRANSITIONS: Final[Mapping[tuple[Stop, Sight], tuple[Stop, bool]]] = {
    (Stop.MOVING, Sight.MOVES): (Stop.MOVING, False),
    (Stop.MOVING, Sight.UNSURE): (Stop.MOVING, False),
    (Stop.MOVING, Sight.STANDS): (Stop.STANDING, False),
    (Stop.MOVING, Sight.STOOD): (Stop.REPORTED, True),
    (Stop.MOVING, Sight.QUEUES): (Stop.QUEUED, False),
    (Stop.STANDING, Sight.MOVES): (Stop.MOVING, False),
    (Stop.STANDING, Sight.UNSURE): (Stop.STANDING, False),
    (Stop.STANDING, Sight.STANDS): (Stop.STANDING, False),
    (Stop.STANDING, Sight.STOOD): (Stop.REPORTED, True),
    (Stop.STANDING, Sight.QUEUES): (Stop.QUEUED, False),
    (Stop.QUEUED, Sight.MOVES): (Stop.MOVING, False),
    (Stop.QUEUED, Sight.UNSURE): (Stop.QUEUED, False),
    (Stop.QUEUED, Sight.STANDS): (Stop.STANDING, False),
    (Stop.QUEUED, Sight.STOOD): (Stop.REPORTED, True),
    (Stop.QUEUED, Sight.QUEUES): (Stop.QUEUED, False),
    (Stop.REPORTED, Sight.MOVES): (Stop.MOVING, False),
    (Stop.REPORTED, Sight.UNSURE): (Stop.REPORTED, False),
    (Stop.REPORTED, Sight.STANDS): (Stop.REPORTED, False),
    (Stop.REPORTED, Sight.STOOD): (Stop.REPORTED, False),
    (Stop.REPORTED, Sight.QUEUES): (Stop.REPORTED, False),
}
"""(stop, sight) -> (new stop, whether the rule fires)."""


@dataclass(slots=True)
class _Memory:
    stop: Stop
    since: float
    """When its time began to count, seconds."""
    position: Point


@dataclass(frozen=True, slots=True)
class StoppedVehicleParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
        maximum_speed: metres per second.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS
    maximum_speed: float = DEFAULT_SPEED

    def build(self, places: Places, classes: ClassFilter) -> StoppedVehicle:
        """See RuleParameters.build."""
        require_calibration(places)
        return StoppedVehicle(self, places.zones[self.zone], classes)


class StoppedVehicle:
    """Fires once per stop of a vehicle in a zone.

    Args:
        parameters: see StoppedVehicleParameters.
        zone: its corners, normalised.
        classes: whose stops count; road vehicles when it names none. Road vehicles make the queue in any case.
    """

    topic = "Argo/StoppedVehicle"

    def __init__(self, parameters: StoppedVehicleParameters, zone: tuple[Point, ...], classes: ClassFilter) -> None:
        self.place = parameters.zone
        self._parameters = parameters
        self._zone = zone
        self._classes = vehicles_by_default(classes)
        shortest, longest = WINDOW_SECONDS
        self._window = min(max(parameters.minimum_duration, shortest), longest)
        self._matters = self._classes.classes | ROAD_VEHICLES
        self._clock = SceneClock()
        self._vehicles: dict[int, _Memory] = {}
        self._lost: list[tuple[float, _Memory]] = []

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step."""
        if self._clock.set_back(scene.time):
            self.reset()
        found = self._look(scene)
        self._forget(scene.ended, scene.time)
        return [firing for firing in found if firing is not None]

    def reset(self) -> None:
        """See Rule.reset."""
        self._vehicles.clear()
        self._lost.clear()

    def _look(self, scene: Scene) -> list[Firing | None]:
        movements, most = scene.movements(self._window), self._parameters.maximum_speed
        stands = movements.known & (movements.speed <= most) & (movements.speed_error <= most)
        watched = scene.occupying(self._zone, self._classes.classes) & movements.known
        return [
            self._judge(scene, index, movement, stands=bool(stands[index]))
            for index in np.flatnonzero(watched).tolist()
            # Of those who drive there is nothing to remember.
            if (stands[index] or scene.tracks[index] in self._vehicles) and (movement := movements.of(index))
        ]

    def _judge(self, scene: Scene, index: int, movement: Movement, *, stands: bool) -> Firing | None:
        presence, time = scene.present[index], scene.time
        memory = self._vehicles.get(presence.track)
        if memory is None:
            memory = self._vehicles[presence.track] = self._found_again(movement) or _Memory(
                Stop.MOVING, movement.start_time, movement.position
            )
        queued = stands and self._in_queue(scene, index, movement.position)
        if stands and not queued:
            if memory.stop is Stop.MOVING:
                memory.since = movement.start_time
            elif memory.stop is Stop.QUEUED:
                memory.since = time
        memory.position = movement.position
        sight = self._sight(memory, movement, time, stands=stands, queued=queued)
        memory.stop, fires = TRANSITIONS[memory.stop, sight]
        if memory.stop is Stop.MOVING:
            del self._vehicles[presence.track]
        return self._explain(presence, memory, movement, time) if fires else None

    def _in_queue(self, scene: Scene, index: int, here: Point) -> bool:
        """Whether most of those around a vehicle stand, and more than one."""
        # Who drives by is in the zone for a few seconds only.
        others = scene.movements(WINDOW_SECONDS[0])
        away = np.hypot(others.position[:, 0] - here[0], others.position[:, 1] - here[1])
        around = scene.occupying(self._zone, self._matters) & others.known & (away <= NEIGHBOUR_METRES)
        around[index] = False
        standing = int((around & (others.speed <= CREEPING_SPEED)).sum())
        return standing >= QUEUE_NEIGHBOURS and standing > int(around.sum()) - standing

    def _found_again(self, movement: Movement) -> _Memory | None:
        """What is known of a vehicle that stood here and whose track was lost."""
        nearest = min(self._lost, key=lambda item: math.dist(item[1].position, movement.position), default=None)
        if nearest is None or math.dist(nearest[1].position, movement.position) > SAME_PLACE_METRES:
            return None
        self._lost.remove(nearest)
        return nearest[1]

    def _sight(self, memory: _Memory, movement: Movement, time: float, *, stands: bool, queued: bool) -> Sight:
        if queued:
            return Sight.QUEUES
        if stands:
            return Sight.STOOD if time - memory.since >= self._parameters.minimum_duration else Sight.STANDS
        certainly = movement.speed - CERTAIN_ERRORS * movement.speed_error > self._parameters.maximum_speed
        return Sight.MOVES if certainly else Sight.UNSURE

    def _forget(self, ended: Sequence[int], time: float) -> None:
        gone = [self._vehicles.pop(track) for track in ended if track in self._vehicles]
        self._lost += [(time, memory) for memory in gone]
        self._lost = [(when, memory) for when, memory in self._lost if time - when <= LOST_SECONDS]

    def _explain(self, presence: Presence, memory: _Memory, movement: Movement, time: float) -> Firing:
        return Firing(
            time=time,
            start_time=memory.since,
            quantity="standing time",
            unit="s",
            value=time - memory.since,
            threshold=self._parameters.minimum_duration,
            # Standing is noticed by the way of a window: the stop began within it.
            uncertainty=(movement.end_time - movement.start_time) / 2,
            tracks=(presence.track,),
            classes=(presence.object_class,),
            box=presence.box,
        )
