"""What is known of a track besides its box: how often it was seen, where it rests, and when it is over."""

from __future__ import annotations

import enum
import itertools
import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.domain.detections import ObjectClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.tracker_parameters import TrackerParameters

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


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
_LIVING: Final = np.array([kind in (Kind.PERSON, Kind.ANIMAL) for kind in Kind])

LOOK_SECONDS: Final = 0.2
"""A frame that comes so long after the last one is a look of its own; the errors of closer ones are much the same (on
PETS09-S2L1 half of a box's error is still there half a second later)."""
REST_FRAMES: Final = 600
"""How far back a rest remembers how often it was seen; older frames fade out by halves."""

_STATES: Final = tuple(TrackState)
_SIGNALS: Final = tuple(Signal)
_CODES: Final[Mapping[TrackState, int]] = {state: code for code, state in enumerate(_STATES)}
_SIGNAL_CODES: Final[Mapping[Signal, int]] = {signal: code for code, signal in enumerate(_SIGNALS)}
# The table as an array, for all tracks at once: rows are states, columns are signals. What has ended stays ended.
_AFTER: Final = np.array(
    [[_CODES[TRANSITIONS.get((state, signal), TrackState.ENDED)] for signal in _SIGNALS] for state in _STATES]
)

_LIFE: Final = np.dtype(
    [
        ("kind", np.int16),
        ("state", np.intp),
        ("first_seen", np.float64),
        ("last_seen", np.float64),
        ("last_score", np.float64),
        # Whether it was missed behind something else.
        ("covered", np.bool_),
        # For how long it was looked at; how often it was seen, and with which scores in all.
        ("exposure", np.float64),
        ("hits", np.int64),
        ("total_score", np.float64),
        # Where it was first, and how far from there it has ever been, in its heights.
        ("origin", np.float64, (2,)),
        ("travel", np.float64),
        # The place that it has not left since; in how many frames it could have been seen there, in how many it was.
        ("rest_place", np.float64, (2,)),
        ("rest_since", np.float64),
        ("rest_frames", np.int64),
        ("rest_hits", np.int64),
        # Since when it has been seen, without moving, only as what may be clutter; NaN: it is not doubted.
        ("doubted_since", np.float64),
        # For how long it has been missed without being covered.
        ("absence", np.float64),
        # Sums of scores by number of the class.
        ("votes", np.float64, (1 + max(ObjectClass),)),
    ]
)


class Sightings(NamedTuple):
    """The detections of some tracks in one frame.

    Attributes:
        scores: of the detector, n.
        classes: numbers of the classes, n.
        centres: of the filtered boxes, n x 2, pixels.
        heights: of the filtered boxes, n, pixels.
        cluttered: which of them may as well be things that are always there, n; see `detector.domain.clutter`.
    """

    scores: Floats
    classes: npt.NDArray[np.int16]
    centres: Floats
    heights: Floats
    cluttered: Flags


class Lives:
    """What is known of every track of an optic besides its box; one row each, in the order of the filters."""

    def __init__(self) -> None:
        self._lives = np.zeros(0, dtype=_LIFE)
        self._ids: list[int] = []

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def tracks(self) -> list[int]:
        """Their ids."""
        return self._ids

    @property
    def kinds(self) -> npt.NDArray[np.int16]:
        """See Kind, n."""
        return self._lives["kind"]

    @property
    def states(self) -> list[TrackState]:
        """Where each is in its table."""
        return [_STATES[code] for code in self._lives["state"].tolist()]

    @property
    def first_seen(self) -> Floats:
        """Seconds, n."""
        return self._lives["first_seen"]

    @property
    def last_seen(self) -> Floats:
        """Seconds, n."""
        return self._lives["last_seen"]

    @property
    def last_scores(self) -> Floats:
        """Of their last detections, n."""
        return self._lives["last_score"]

    @property
    def covered(self) -> Flags:
        """Which were missed behind something else, n."""
        return self._lives["covered"]

    @property
    def believed(self) -> Flags:
        """Which are more than tentative, n."""
        believed: Flags = self._lives["state"] != _CODES[TrackState.TENTATIVE]
        return believed

    @property
    def object_classes(self) -> npt.NDArray[np.intp]:
        """What most of the detections of each were, by score: numbers of classes, n."""
        classes: Rows = self._lives["votes"].argmax(axis=1)
        return classes

    def be(self, state: TrackState) -> Flags:
        """Which are in a state, n."""
        being: Flags = self._lives["state"] == _CODES[state]
        return being

    def begin(self, tracks: Sequence[int], kinds: npt.NDArray[np.int16], time: float) -> None:
        """Add tracks that are about to be seen for the first time."""
        fresh = np.zeros(len(tracks), dtype=_LIFE)
        fresh["kind"], fresh["state"], fresh["first_seen"] = kinds, _CODES[TrackState.TENTATIVE], time
        fresh["last_seen"], fresh["rest_since"], fresh["doubted_since"] = time, math.inf, math.nan
        self._lives = np.concatenate([self._lives, fresh])
        self._ids += tracks

    def keep(self, rows: Flags) -> None:
        """Forget the other tracks."""
        if not rows.all():
            self._lives = self._lives[rows]
            self._ids = list(itertools.compress(self._ids, rows.tolist()))

    def see(self, rows: Rows, time: float, passed: float, seen: Sightings, parameters: TrackerParameters) -> None:
        """Take the detections of some tracks in one frame, which came so many seconds after the last analysed one."""
        lives, heights = self._lives[rows], np.maximum(seen.heights, 1.0)
        first = lives["hits"] == 0
        lives["origin"][first] = seen.centres[first]
        lives["travel"] = np.maximum(lives["travel"], _distances(seen.centres, lives["origin"]) / heights)
        moved = first | (_distances(seen.centres, lives["rest_place"]) >= parameters.proof_travel * heights)
        lives["rest_place"][moved] = seen.centres[moved]
        lives["rest_since"][moved], lives["rest_frames"][moved], lives["rest_hits"][moved] = time, 0, 0
        _look(lives, hit=True)
        lives["last_seen"], lives["absence"], lives["covered"] = time, 0.0, False
        lives["exposure"] += min(passed, LOOK_SECONDS)
        lives["hits"] += 1
        lives["last_score"] = seen.scores
        lives["total_score"] += seen.scores
        clear = moved | (_alive(lives, parameters) & ~seen.cluttered)
        begins = ~clear & np.isnan(lives["doubted_since"])
        lives["doubted_since"][clear], lives["doubted_since"][begins] = math.nan, time
        lives["votes"][np.arange(len(rows)), seen.classes] += seen.scores
        self._lives[rows] = lives

    def miss(self, rows: Rows, passed: float, covered: Flags) -> None:
        """Count a frame without a detection of these; where something else stands before one, that says nothing."""
        lives = self._lives[rows]
        lives["covered"] = covered
        bare = lives[~covered]
        bare["absence"] += passed
        _look(bare, hit=False)
        lives[~covered] = bare
        self._lives[rows] = lives

    def settled(self, parameters: TrackerParameters) -> Flags:
        """Which stand still, beyond doubt, for long enough to be held, n."""
        still = self.last_seen - self._lives["rest_since"] >= parameters.settle_seconds
        settled: Flags = still & self.believed & np.isnan(self._lives["doubted_since"])
        return settled

    def reachable(self, time: float, parameters: TrackerParameters) -> Flags:
        """Whose a detection may still be, n: not after a gap in which a track could have become somebody else."""
        longest = np.where(self.settled(parameters), self._longest_holds(parameters), 0.0)
        return time - self.last_seen <= np.maximum(parameters.patience, longest)

    def advance(self, time: float, parameters: TrackerParameters, seen: Flags) -> None:
        """Move every track through the table with one frame; `seen`: which of them were, n."""
        self._lives["state"] = _AFTER[self._lives["state"], self._signals(time, parameters, seen)]

    def _signals(self, time: float, parameters: TrackerParameters, seen: Flags) -> Rows:
        lives, believed = self._lives, self.believed
        unseen = time - lives["last_seen"]
        # A comparison with NaN is false: who is not doubted is not in doubt for too long.
        clutter = believed & (time - lives["doubted_since"] > parameters.patience_clutter)
        proven = _alive(lives, parameters) & (lives["exposure"] >= parameters.proof_seconds)
        stands = (unseen <= self._longest_holds(parameters)) & self.settled(parameters)
        stands[stands] = lives["absence"][stands] <= _hold_seconds(lives[stands], parameters)
        expired = unseen > np.where(believed, parameters.patience, parameters.patience_tentative)
        missed = _chosen(stands, Signal.STOOD, _chosen(expired, Signal.EXPIRED, Signal.MISSED))
        said = np.where(seen, _chosen(proven, Signal.PROVEN, Signal.SEEN), missed)
        return np.where(clutter, _SIGNAL_CODES[Signal.EXPIRED], said)

    def _longest_holds(self, parameters: TrackerParameters) -> Floats:
        return np.where(_LIVING[self._lives["kind"]], parameters.hold_most_living, parameters.hold_most)


def _chosen(condition: Flags, yes: Signal, no: Signal | Rows) -> Rows:
    return np.where(condition, _SIGNAL_CODES[yes], no if isinstance(no, np.ndarray) else _SIGNAL_CODES[no])


def _distances(places: Floats, others: Floats) -> Floats:
    return np.hypot(places[:, 0] - others[:, 0], places[:, 1] - others[:, 1])


def _look(lives: npt.NDArray[np.void], *, hit: bool) -> None:
    """Count one frame of a rest."""
    lives["rest_frames"] += 1
    lives["rest_hits"] += hit
    old = lives["rest_frames"] >= REST_FRAMES
    for column in ("rest_frames", "rest_hits"):
        lives[column][old] //= 2


def _alive(lives: npt.NDArray[np.void], parameters: TrackerParameters) -> Flags:
    """Which came from somewhere, or are clear enough without."""
    clear = lives["total_score"] >= parameters.still_score * np.maximum(lives["hits"], 1)
    alive: Flags = (lives["travel"] >= parameters.proof_travel) | clear
    return alive


def _hold_seconds(lives: npt.NDArray[np.void], parameters: TrackerParameters) -> Floats:
    """See `hold_seconds`."""
    return hold_seconds(lives["rest_frames"], lives["rest_hits"], parameters)


def hold_seconds(frames: npt.NDArray[np.int64], hits: npt.NDArray[np.int64], parameters: TrackerParameters) -> Floats:
    """For how long what rests may be missed before having left is the better explanation, n, seconds.

    Misses of more than about a second apart are taken for independent: something that is seen in a share p of the
    frames is missed for t seconds with a probability of (1 - p) ** t.

    Args:
        frames: in which each could have been seen where it rests, n.
        hits: in which it was, n.
        parameters: of the tracker.
    """
    share = (hits + 1) / (frames + 2)
    return np.maximum(parameters.hold_least, math.log(parameters.hold_doubt) / np.log(1.0 - share))
