"""Following objects from frame to frame within one optic.

Two-stage association: confident detections find their tracks first, then the tracks that are left look among the
weak detections, which alone never begin a track (the idea of ByteTrack, Zhang et al., ECCV 2022). A track's id is
random, belongs to one optic and one stream, is never used again and leads nowhere once the track has ended.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from detector.domain.assignment import assign
from detector.domain.detections import Boxes, Detections, ObjectClass, overlaps
from detector.domain.kalman import BoxFilters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.domain.geometry import Point

Indices = npt.NDArray[np.intp]


class TrackState(enum.Enum):
    """Where a track is in its life."""

    TENTATIVE = enum.auto()
    """Seen, not yet often enough to be believed."""
    FOLLOWED = enum.auto()
    """Believed, and seen in the last frame."""
    LOST = enum.auto()
    """Believed, and not seen for a moment."""
    ENDED = enum.auto()
    """Over; its id is dead."""


class Signal(enum.Enum):
    """What a frame says about a track."""

    SEEN = enum.auto()
    PROVEN = enum.auto()
    """Seen, and with that often or clearly enough."""
    MISSED = enum.auto()
    EXPIRED = enum.auto()
    """Missed, and for too long."""


TRANSITIONS: Final[Mapping[tuple[TrackState, Signal], TrackState]] = {
    (TrackState.TENTATIVE, Signal.SEEN): TrackState.TENTATIVE,
    (TrackState.TENTATIVE, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.TENTATIVE, Signal.MISSED): TrackState.TENTATIVE,
    (TrackState.TENTATIVE, Signal.EXPIRED): TrackState.ENDED,
    (TrackState.FOLLOWED, Signal.SEEN): TrackState.FOLLOWED,
    (TrackState.FOLLOWED, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.FOLLOWED, Signal.MISSED): TrackState.LOST,
    (TrackState.FOLLOWED, Signal.EXPIRED): TrackState.ENDED,
    (TrackState.LOST, Signal.SEEN): TrackState.FOLLOWED,
    (TrackState.LOST, Signal.PROVEN): TrackState.FOLLOWED,
    (TrackState.LOST, Signal.MISSED): TrackState.LOST,
    (TrackState.LOST, Signal.EXPIRED): TrackState.ENDED,
}


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """What the tracker believes, and for how long. Scores are the detector's, times in seconds.

    Attributes:
        birth_score: a detection from here on may begin a track; the card's threshold for events.
        strong_score: detections from here on are matched first; the card's threshold for tracking.
        proof_score: the sum of scores that makes a track believed.
        proof_hits: and the number of frames that it was seen in, at least.
        proof_travel: a believed track has moved by this many of its heights,
        still_score: or else its mean score is at least this: what is weak and never moved is a stone or a sign.
        patience_tentative: how long a track that is not believed may go unseen.
        patience: how long a believed one may.
        patience_still: how long a believed track may stand still without a detection that could have begun it: somebody
            who walks past a stone must not leave the track behind on it.
        near: largest cost of a match with a strong detection.
        near_weak: largest cost of a match with a weak one.
        widening: boxes are compared widened by this share of their size on every side, so that a small fast object
            still meets itself at a low frame rate (buffered IoU: Yang et al., WACV 2023).
        duplicate_overlap: a new track may not overlap a followed one of its kind by more than this.
    """

    birth_score: float = 0.5
    strong_score: float = 0.3
    proof_score: float = 1.2
    proof_hits: int = 3
    proof_travel: float = 0.25
    still_score: float = 0.45
    patience_tentative: float = 0.35
    patience: float = 2.0
    patience_still: float = 3.0
    near: float = 0.8
    near_weak: float = 0.6
    widening: float = 0.2
    duplicate_overlap: float = 0.5


KINDS: Final[Mapping[ObjectClass, int]] = {
    ObjectClass.PERSON: 0,
    ObjectClass.BICYCLE: 1,
    ObjectClass.MOTORCYCLE: 1,
    ObjectClass.CAR: 2,
    ObjectClass.BUS: 2,
    ObjectClass.TRAIN: 2,
    ObjectClass.TRUCK: 2,
    ObjectClass.ANIMAL: 3,
    ObjectClass.LUGGAGE: 4,
}
"""Classes that a detector confuses from frame to frame, and that one track may therefore hold."""

_KIND_OF: Final = np.array([-1, *(KINDS[member] for member in sorted(ObjectClass))], dtype=np.int16)


@dataclass(slots=True)
class _Life:
    """What is known of a track besides its box."""

    track: int
    kind: int
    first_seen: float
    last_seen: float
    last_alive: float
    """When it was last seen clearly enough to begin a track, or had moved on since it was last alive."""
    state: TrackState = TrackState.TENTATIVE
    hits: int = 0
    total_score: float = 0.0
    travel: float = 0.0
    origin: Point | None = None
    anchor: Point | None = None
    """Where it was last alive."""
    votes: dict[int, float] = field(default_factory=dict)

    def see(
        self,
        time: float,
        detection: tuple[float, int, npt.NDArray[np.float32]],
        parameters: TrackerParameters,
    ) -> None:
        """Take its detection of one frame: score, class, box."""
        score, object_class, box = detection
        left, top, right, bottom = (float(value) for value in box)
        centre, height = ((left + right) / 2, (top + bottom) / 2), max(bottom - top, 1.0)
        self.origin, self.anchor = self.origin or centre, self.anchor or centre
        self.travel = max(self.travel, math.dist(centre, self.origin) / height)
        if score >= parameters.birth_score or math.dist(centre, self.anchor) >= parameters.proof_travel * height:
            self.anchor, self.last_alive = centre, time
        self.last_seen = time
        self.hits += 1
        self.total_score += score
        self.votes[object_class] = self.votes.get(object_class, 0.0) + score

    def proven(self, parameters: TrackerParameters) -> bool:
        alive = self.travel >= parameters.proof_travel or self.total_score / self.hits >= parameters.still_score
        return alive and self.hits >= parameters.proof_hits and self.total_score >= parameters.proof_score

    def object_class(self) -> ObjectClass:
        return ObjectClass(max(self.votes, key=lambda number: (self.votes[number], -number)))


@dataclass(frozen=True, slots=True)
class Track:
    """A believed track as of one frame.

    Attributes:
        track: its id: random, not 0, in 64 bits.
        object_class: what most of its detections were, by score.
        box: left, top, right, bottom, in pixels of the analysed frame, smoothed.
        velocity: of the box's centre, pixels per second.
        first_seen: time of its first detection, seconds.
        last_seen: time of its last one.
        detection: its detection's position in the frame's detections; None when it was missed.
    """

    track: int
    object_class: ObjectClass
    box: tuple[float, float, float, float]
    velocity: tuple[float, float]
    first_seen: float
    last_seen: float
    detection: int | None


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """What the tracker makes of one frame.

    Attributes:
        tracks: every believed track, seen or coasting.
        ended: believed tracks that ended with this frame, as they were when last seen.
    """

    tracks: tuple[Track, ...]
    ended: tuple[int, ...]


class Tracker:
    """Follows the objects of one optic. Frames must come in the order of their times.

    Args:
        new_id: gives a random number of 64 bits; called again when it gives 0 or the id of a living track.
        parameters: see TrackerParameters.
    """

    def __init__(self, new_id: Callable[[], int], parameters: TrackerParameters | None = None) -> None:
        self._new_id = new_id
        self._parameters = parameters or TrackerParameters()
        self._filters = BoxFilters()
        self._lives: list[_Life] = []
        self._time: float | None = None

    def step(self, time: float, detections: Detections) -> TrackedFrame:
        """Take one analysed frame.

        Args:
            time: capture time, seconds; a step back or a standstill counts as no time passed.
            detections: everything above the masking threshold.
        """
        passed = 0.0 if self._time is None else max(0.0, time - self._time)
        time = time if self._time is None else max(time, self._time)
        self._time = time
        self._filters.predict(passed)
        seen = self._associate(detections)
        self._correct(seen, detections, time)
        self._begin(seen, detections, time)
        return self._settle(seen, time)

    def _associate(self, detections: Detections) -> dict[int, int]:
        """Row of the filter bank -> position of its detection."""
        parameters = self._parameters
        rows = np.arange(len(self._lives))
        strong = np.flatnonzero(detections.scores >= parameters.strong_score)
        weak = np.flatnonzero(detections.scores < parameters.strong_score)
        believed = np.array([life.state is not TrackState.TENTATIVE for life in self._lives], dtype=np.bool_)
        followed = np.array([life.state is TrackState.FOLLOWED for life in self._lives], dtype=np.bool_)
        seen: dict[int, int] = {}
        strong = self._match(seen, rows[believed], strong, detections, limit=parameters.near)
        self._match(seen, _without(rows[followed], seen), weak, detections, limit=parameters.near_weak)
        self._match(seen, rows[~believed], strong, detections, limit=parameters.near)
        return seen

    def _match(
        self, seen: dict[int, int], rows: Indices, columns: Indices, detections: Detections, *, limit: float
    ) -> Indices:
        """Match some tracks with some detections; the detections that stayed free."""
        if not len(rows) or not len(columns):
            return columns
        found = assign(self._cost(rows, detections.where(columns)), limit)
        seen.update(zip(rows[found.rows].tolist(), columns[found.columns].tolist(), strict=True))
        return columns[found.free_columns]

    def _cost(self, rows: Indices, detections: Detections) -> npt.NDArray[np.float64]:
        """How badly tracks and detections fit: one minus the overlap of their widened boxes, by score."""
        share = self._parameters.widening
        overlap = overlaps(_widen(self._filters.boxes()[rows], share), _widen(detections.boxes, share))
        kinds = np.array([self._lives[row].kind for row in rows], dtype=np.int16)
        other_kind = kinds[:, None] != _KIND_OF[detections.classes][None, :]
        fit = overlap * (0.5 + 0.5 * detections.scores[None, :])
        return np.where(other_kind | (overlap <= 0.0), np.inf, 1.0 - fit)

    def _correct(self, seen: Mapping[int, int], detections: Detections, time: float) -> None:
        if not seen:
            return
        rows, columns = np.array(list(seen), dtype=np.intp), np.array(list(seen.values()), dtype=np.intp)
        self._filters.update(rows, detections.boxes[columns], detections.scores[columns])
        for row, column in seen.items():
            self._lives[row].see(time, _one(detections, column), self._parameters)

    def _begin(self, seen: dict[int, int], detections: Detections, time: float) -> None:
        """Start tracks at the free detections that are clear enough and not a second look at a known object."""
        taken = np.zeros(len(detections), dtype=np.bool_)
        taken[list(seen.values())] = True
        for column in np.flatnonzero(~taken & (detections.scores >= self._parameters.birth_score)):
            box, kind = detections.boxes[[column]], int(_KIND_OF[detections.classes[column]])
            rows = [row for row, life in enumerate(self._lives) if life.kind == kind and row in seen]
            beside = overlaps(box, self._filters.boxes()[rows])
            if beside.size and beside.max() > self._parameters.duplicate_overlap:
                continue
            life = _Life(self._fresh_id(), kind, first_seen=time, last_seen=time, last_alive=time)
            life.see(time, _one(detections, int(column)), self._parameters)
            self._filters.append(box)
            seen[len(self._lives)] = int(column)
            self._lives.append(life)

    def _fresh_id(self) -> int:
        living = {0, *(life.track for life in self._lives)}
        while (track := self._new_id()) in living:
            pass
        return track

    def _settle(self, seen: Mapping[int, int], time: float) -> TrackedFrame:
        """Move every track through its table, drop the ended ones, and report."""
        ended: list[int] = []
        keep = np.ones(len(self._lives), dtype=np.bool_)
        tracks: list[Track] = []
        boxes = self._filters.boxes()
        for row, life in enumerate(self._lives):
            before = life.state
            life.state = TRANSITIONS[before, self._signal(life, time, seen=row in seen)]
            if life.state is TrackState.ENDED:
                keep[row] = False
                if before is not TrackState.TENTATIVE:
                    ended.append(life.track)
            elif life.state is not TrackState.TENTATIVE:
                tracks.append(self._report(row, life, boxes[row], seen.get(row)))
        self._filters.keep(keep)
        self._lives = [life for life, kept in zip(self._lives, keep, strict=True) if kept]
        return TrackedFrame(tuple(tracks), tuple(ended))

    def _signal(self, life: _Life, time: float, *, seen: bool) -> Signal:
        parameters = self._parameters
        tentative = life.state is TrackState.TENTATIVE
        if not tentative and time - life.last_alive > parameters.patience_still:
            return Signal.EXPIRED
        if seen:
            return Signal.PROVEN if life.proven(parameters) else Signal.SEEN
        patience = parameters.patience_tentative if tentative else parameters.patience
        return Signal.EXPIRED if time - life.last_seen > patience else Signal.MISSED

    def _report(self, row: int, life: _Life, box: npt.NDArray[np.float32], detection: int | None) -> Track:
        left, top, right, bottom = (float(value) for value in box)
        return Track(
            track=life.track,
            object_class=life.object_class(),
            box=(left, top, right, bottom),
            velocity=(float(self._filters.velocity[row, 0]), float(self._filters.velocity[row, 1])),
            first_seen=life.first_seen,
            last_seen=life.last_seen,
            detection=detection,
        )


def _without(rows: Indices, seen: Mapping[int, int]) -> Indices:
    return np.array([row for row in rows.tolist() if row not in seen], dtype=np.intp)


def _one(detections: Detections, column: int) -> tuple[float, int, npt.NDArray[np.float32]]:
    return float(detections.scores[column]), int(detections.classes[column]), detections.boxes[column]


def _widen(boxes: Boxes, share: float) -> Boxes:
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1).astype(np.float32)
