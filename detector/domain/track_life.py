"""What is known of a track besides its box: how often it was seen, where it rests, and when it is over."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from detector.domain.detections import ObjectClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.geometry import Point
    from detector.domain.tracking import TrackerParameters


class TrackState(enum.Enum):
    """Where a track is in its life."""

    TENTATIVE = enum.auto()
    """Seen, not yet often enough to be believed."""
    FOLLOWED = enum.auto()
    """Believed, and seen in the last frame."""
    HELD = enum.auto()
    """Believed to stand where it stood, though the detector misses it."""
    LOST = enum.auto()
    """Believed, and not seen for a moment."""
    ENDED = enum.auto()
    """Over; its id is dead."""


class Signal(enum.Enum):
    """What a frame says about a track."""

    SEEN = enum.auto()
    PROVEN = enum.auto()
    """Seen, and with that for long enough."""
    STOOD = enum.auto()
    """Missed where it stood still, and nothing says that it has left."""
    MISSED = enum.auto()
    EXPIRED = enum.auto()
    """Missed for too long, or of too little substance."""


TRANSITIONS: Final[Mapping[tuple[TrackState, Signal], TrackState]] = {
    (TrackState.TENTATIVE, Signal.SEEN): TrackState.TENTATIVE,
    (TrackState.TENTATIVE, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.TENTATIVE, Signal.STOOD): TrackState.TENTATIVE,
    (TrackState.TENTATIVE, Signal.MISSED): TrackState.TENTATIVE,
    (TrackState.TENTATIVE, Signal.EXPIRED): TrackState.ENDED,
    (TrackState.FOLLOWED, Signal.SEEN): TrackState.FOLLOWED,
    (TrackState.FOLLOWED, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.FOLLOWED, Signal.STOOD): TrackState.HELD,
    (TrackState.FOLLOWED, Signal.MISSED): TrackState.LOST,
    (TrackState.FOLLOWED, Signal.EXPIRED): TrackState.ENDED,
    (TrackState.HELD, Signal.SEEN): TrackState.FOLLOWED,
    (TrackState.HELD, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.HELD, Signal.STOOD): TrackState.HELD,
    (TrackState.HELD, Signal.MISSED): TrackState.LOST,
    (TrackState.HELD, Signal.EXPIRED): TrackState.ENDED,
    (TrackState.LOST, Signal.SEEN): TrackState.FOLLOWED,
    (TrackState.LOST, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.LOST, Signal.STOOD): TrackState.LOST,
    (TrackState.LOST, Signal.MISSED): TrackState.LOST,
    (TrackState.LOST, Signal.EXPIRED): TrackState.ENDED,
}


class Kind(enum.IntEnum):
    """Classes that a detector confuses from frame to frame, and that one track may therefore hold."""

    PERSON = 0
    CYCLE = 1
    VEHICLE = 2
    ANIMAL = 3
    LUGGAGE = 4


KINDS: Final[Mapping[ObjectClass, Kind]] = {
    ObjectClass.PERSON: Kind.PERSON,
    ObjectClass.BICYCLE: Kind.CYCLE,
    ObjectClass.MOTORCYCLE: Kind.CYCLE,
    ObjectClass.CAR: Kind.VEHICLE,
    ObjectClass.BUS: Kind.VEHICLE,
    ObjectClass.TRAIN: Kind.VEHICLE,
    ObjectClass.TRUCK: Kind.VEHICLE,
    ObjectClass.ANIMAL: Kind.ANIMAL,
    ObjectClass.LUGGAGE: Kind.LUGGAGE,
}
_CLASSES: Final = {int(member): member for member in ObjectClass}
_LIVING: Final = frozenset({Kind.PERSON, Kind.ANIMAL})

LOOK_SECONDS: Final = 0.2
"""A frame that comes so long after the last one is a look of its own; the errors of closer ones are much the same (on
PETS09-S2L1 half of a box's error is still there half a second later)."""
REST_FRAMES: Final = 600
"""How far back a rest remembers how often it was seen; older frames fade out by halves."""


class Sighting(NamedTuple):
    """A track's detection in one frame.

    Attributes:
        score: of the detector.
        object_class: number of the class.
        centre: of the filtered box, pixels.
        height: of the filtered box, pixels.
        cluttered: it may as well be a thing that is always there; see `detector.domain.clutter`.
    """

    score: float
    object_class: int
    centre: Point
    height: float
    cluttered: bool


@dataclass(slots=True)
class Rest:
    """A place that a track has not left since.

    Attributes:
        place: centre of its box, pixels.
        since: seconds.
        frames: in which it could have been seen there.
        hits: in which it was.
    """

    place: Point
    since: float
    frames: int = 0
    hits: int = 0

    def look(self, *, hit: bool) -> None:
        """Count one frame."""
        self.frames, self.hits = self.frames + 1, self.hits + hit
        if self.frames >= REST_FRAMES:
            self.frames, self.hits = self.frames // 2, self.hits // 2

    def hold_seconds(self, parameters: TrackerParameters) -> float:
        """For how long it may be missed before having left is the better explanation.

        Misses of more than about a second apart are taken for independent: something that is seen in a share p of the
        frames is missed for t seconds with a probability of (1 - p) ** t.
        """
        share = (self.hits + 1) / (self.frames + 2)
        seconds = math.log(parameters.hold_doubt) / math.log(1.0 - share)
        return max(parameters.hold_least, seconds)


@dataclass(slots=True)
class Life:
    """One track's.

    Attributes:
        track: its id.
        kind: which of `Kind`.
        first_seen: seconds.
        last_seen: seconds.
        state: where it is in its table.
        last_score: of its last detection.
        covered: whether it was missed behind something else.
    """

    track: int
    kind: int
    first_seen: float
    last_seen: float
    state: TrackState = TrackState.TENTATIVE
    last_score: float = 0.0
    covered: bool = False
    _exposure: float = 0.0
    _hits: int = 0
    _total_score: float = 0.0
    _travel: float = 0.0
    _origin: Point | None = None
    _rest: Rest | None = None
    _doubted_since: float | None = None
    """Since when it has been seen, without moving, only as what may be clutter."""
    _absence: float = 0.0
    """For how long it has been missed without being covered."""
    _votes: dict[int, float] = field(default_factory=dict)

    @property
    def believed(self) -> bool:
        """Whether it is more than tentative."""
        return self.state is not TrackState.TENTATIVE

    @property
    def object_class(self) -> ObjectClass:
        """What most of its detections were, by score."""
        if len(self._votes) == 1:
            return _CLASSES[next(iter(self._votes))]
        return ObjectClass(max(self._votes, key=lambda number: (self._votes[number], -number)))

    def see(self, time: float, passed: float, sighting: Sighting, parameters: TrackerParameters) -> None:
        """Take its detection of one frame, which came so many seconds after the last analysed one."""
        centre, height = sighting.centre, max(sighting.height, 1.0)
        self._origin = self._origin or centre
        self._travel = max(self._travel, math.dist(centre, self._origin) / height)
        moved = self._rest is None or math.dist(centre, self._rest.place) >= parameters.proof_travel * height
        if self._rest is None or moved:
            self._rest = Rest(centre, time)
        self._rest.look(hit=True)
        self.last_seen, self._absence, self.covered = time, 0.0, False
        self._exposure += min(passed, LOOK_SECONDS)
        self._hits += 1
        self.last_score = sighting.score
        self._total_score += sighting.score
        if moved or (self._alive(parameters) and not sighting.cluttered):
            self._doubted_since = None
        elif self._doubted_since is None:
            self._doubted_since = time
        self._votes[sighting.object_class] = self._votes.get(sighting.object_class, 0.0) + sighting.score

    def miss(self, passed: float, *, covered: bool) -> None:
        """Count a frame without a detection of it; when something else stands before it, that says nothing."""
        self.covered = covered
        if covered:
            return
        self._absence += passed
        if self._rest is not None:
            self._rest.look(hit=False)

    def settled(self, parameters: TrackerParameters) -> bool:
        """Whether it stands still, beyond doubt, for long enough to be held."""
        still = self._rest is not None and self.last_seen - self._rest.since >= parameters.settle_seconds
        return still and self.believed and self._doubted_since is None

    def reachable(self, time: float, parameters: TrackerParameters) -> bool:
        """Whether a detection may still be this track: not after a gap in which it could have become somebody else."""
        longest = self._longest_hold(parameters) if self.settled(parameters) else 0.0
        return time - self.last_seen <= max(parameters.patience, longest)

    def advance(self, time: float, parameters: TrackerParameters, *, seen: bool) -> TrackState:
        """Move through the table with one frame; the new state."""
        self.state = TRANSITIONS[self.state, self._signal(time, parameters, seen=seen)]
        return self.state

    def _signal(self, time: float, parameters: TrackerParameters, *, seen: bool) -> Signal:
        unseen = time - self.last_seen
        doubted = 0.0 if self._doubted_since is None else time - self._doubted_since
        if self.believed and doubted > parameters.patience_clutter:
            return Signal.EXPIRED
        if seen:
            return Signal.PROVEN if self._proven(parameters) else Signal.SEEN
        if unseen <= self._longest_hold(parameters) and self._stands(parameters):
            return Signal.STOOD
        patience = parameters.patience if self.believed else parameters.patience_tentative
        return Signal.EXPIRED if unseen > patience else Signal.MISSED

    def _longest_hold(self, parameters: TrackerParameters) -> float:
        return parameters.hold_most_living if self.kind in _LIVING else parameters.hold_most

    def _stands(self, parameters: TrackerParameters) -> bool:
        return (
            self._rest is not None and self.settled(parameters) and self._absence <= self._rest.hold_seconds(parameters)
        )

    def _proven(self, parameters: TrackerParameters) -> bool:
        return self._alive(parameters) and self._exposure >= parameters.proof_seconds

    def _alive(self, parameters: TrackerParameters) -> bool:
        """Whether it came from somewhere, or is clear enough without."""
        return self._travel >= parameters.proof_travel or self._total_score / self._hits >= parameters.still_score
