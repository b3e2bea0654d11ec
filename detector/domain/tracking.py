"""Following objects from frame to frame within one optic.

Two-stage association: confident detections find their tracks first, then the tracks that are left look among the
weak detections, which alone never begin a track (the idea of ByteTrack, Zhang et al., ECCV 2022). A track's id is
random, belongs to one optic and one stream, is never used again and leads nowhere once the track has ended.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.domain.assignment import assign, covered_share, misfits, reaches
from detector.domain.clutter import Clutter
from detector.domain.detections import Detections, ObjectClass, overlaps
from detector.domain.kalman import BoxFilters
from detector.domain.track_life import KINDS, Life, Sighting, TrackState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """What the tracker believes, and for how long. Scores are the detector's, times in seconds.

    Attributes:
        birth_score: a detection from here on may begin a track; the card's threshold for events.
        strong_score: detections from here on are matched first; the card's threshold for tracking.
        proof_seconds: a believed track was seen in frames that stand for this much time; see track_life.LOOK_SECONDS.
        proof_travel: a believed track has moved by this many of its heights,
        still_score: or else its mean score is at least this: what is weak and never moved is a stone or a sign.
        patience_tentative: how long a track that is not believed may go unseen.
        patience: how long a believed one may.
        coast: how long a believed track that is not seen is still reported where it should be,
        coast_covered: and behind something else: that explains why it is not seen.
        settle_seconds: who has not moved by `proof_travel` for so long stands still.
        hold_doubt: a standing track is held while its being missed for so long is more likely than this.
        hold_least: and for so long at least,
        hold_most: and at most, whatever covers it;
        hold_most_living: people and animals, who walk off behind whatever covers them.
        cover: share of a box that something else covers, from which not seeing it says nothing.
        patience_clutter: how long a track may stand on known clutter, or be weak without ever having moved: who walks
            past a stone must not leave the track behind on it.
        clutter_doubt: clutter that has been seen for so long keeps no track alive,
        clutter_known: and for so long, lets none begin.
        near: largest cost of a match with a strong detection.
        near_weak: largest cost of a match with a weak one.
        reach: who was seen in the last frame and fits nothing now may be the clear detection that begins nothing else,
            within so many standard errors of where it should be: who runs has no known velocity yet,
        reach_most: and within so many of its heights,
        reach_heights: and no smaller or larger than by this factor,
        near_reach: at this cost at most.
        widening: boxes are compared widened by this share of their size on every side.
        duplicate_overlap: a new track may not overlap a followed one of its kind by more than this.
        report_share: share of the way from the filtered box to its detection at which a track is reported. The filter
            trusts detections little, since their errors last; what is seen is nearer to them.
    """

    birth_score: float = 0.5
    strong_score: float = 0.3
    proof_seconds: float = 0.07
    proof_travel: float = 0.25
    still_score: float = 0.45
    patience_tentative: float = 0.35
    patience: float = 2.0
    coast: float = 0.15
    coast_covered: float = 0.25
    settle_seconds: float = 2.0
    hold_doubt: float = 0.01
    hold_least: float = 5.0
    hold_most: float = 60.0
    hold_most_living: float = 1.0
    cover: float = 0.3
    patience_clutter: float = 3.0
    clutter_doubt: float = 0.5
    clutter_known: float = 10.0
    near: float = 0.8
    near_weak: float = 0.6
    reach: float = 4.0
    reach_most: float = 1.5
    reach_heights: float = 0.75
    near_reach: float = 0.85
    widening: float = 0.4
    duplicate_overlap: float = 0.5
    report_share: float = 0.4


_KIND_OF: Final = np.array([-1, *(KINDS[member] for member in sorted(ObjectClass))], dtype=np.int16)
_REPORTED: Final = frozenset({TrackState.FOLLOWED, TrackState.HELD, TrackState.LOST})


class Sight(enum.Enum):
    """How a track is known to be where it is said to be."""

    SEEN = enum.auto()
    """The detector saw it in this frame."""
    COASTED = enum.auto()
    """It was seen a moment ago, and has moved on as it was going."""
    HELD = enum.auto()
    """It stands where it stood."""
    LOST = enum.auto()
    """It is not known: it has not been seen for too long."""


class Track(NamedTuple):
    """A believed track as of one frame.

    Attributes:
        track: its id: random, not 0, in 64 bits.
        object_class: what most of its detections were, by score.
        box: left, top, right, bottom, in pixels of the analysed frame, smoothed.
        velocity: of its foot, the middle of the box's lower side, pixels per second.
        first_seen: time of its first detection, seconds.
        last_seen: time of its last one.
        detection: its detection's position in the frame's detections; None when it was missed.
        sight: how it is known to be there.
        score: of its last detection.
    """

    track: int
    object_class: ObjectClass
    box: tuple[float, float, float, float]
    velocity: tuple[float, float]
    first_seen: float
    last_seen: float
    detection: int | None
    sight: Sight = Sight.SEEN
    score: float = 0.0

    @property
    def present(self) -> bool:
        """Whether it is believed to be in the picture at its box now."""
        return self.sight is not Sight.LOST


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """What the tracker makes of one frame.

    Attributes:
        tracks: every believed track, present or lost.
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
        self._clutter = Clutter()
        self._lives: list[Life] = []
        self._time = -math.inf

    def use(self, parameters: TrackerParameters) -> None:
        """Believe by these from the next frame on; the tracks live on."""
        self._parameters = parameters

    def step(self, time: float, detections: Detections) -> TrackedFrame:
        """Take one analysed frame.

        Args:
            time: capture time, seconds; a step back or a standstill counts as no time passed.
            detections: everything above the masking threshold.
        """
        # Before the first frame nobody has looked for ever so long.
        passed, before = max(0.0, time - self._time), self._time
        self._time = time = max(time, self._time)
        if self._lives:
            self._filters.predict(passed)
        clutter = self._clutter.evidence(detections.boxes, _KIND_OF[detections.classes], detections.scores)
        seen = self._associate(detections, time)
        self._reach(seen, detections, before)
        self._learn(time, passed, seen, detections)
        self._correct(seen, detections, clutter, passed)
        self._begin(seen, detections, clutter, passed)
        self._miss(seen, passed)
        return self._settle(seen, detections)

    def _associate(self, detections: Detections, time: float) -> dict[int, int]:
        """Row of the filter bank -> position of its detection."""
        parameters = self._parameters
        rows = np.arange(len(self._lives))
        strong = np.flatnonzero(detections.scores >= parameters.strong_score)
        weak = np.flatnonzero(detections.scores < parameters.strong_score)
        believed = np.array([life.believed for life in self._lives], dtype=np.bool_)
        reachable = np.array([life.reachable(time, parameters) for life in self._lives], dtype=np.bool_)
        seen: dict[int, int] = {}
        strong = self._match(seen, rows[believed & reachable], strong, detections, limit=parameters.near)
        left = np.array([row for row in rows[believed & reachable].tolist() if row not in seen], dtype=np.intp)
        self._match(seen, left, weak, detections, limit=parameters.near_weak)
        self._match(seen, rows[~believed & reachable], strong, detections, limit=parameters.near)
        return seen

    def _match(
        self, seen: dict[int, int], rows: Indices, columns: Indices, detections: Detections, *, limit: float
    ) -> Indices:
        """Match some tracks with some detections; the detections that stayed free."""
        if not len(rows) or not len(columns):
            return columns
        some = detections.where(columns)
        cost = misfits(self._filters.boxes()[rows], some.boxes, some.scores, self._parameters.widening)
        kinds = np.array([self._lives[row].kind for row in rows], dtype=np.int16)
        cost[kinds[:, None] != _KIND_OF[some.classes]] = np.inf
        found = assign(cost, limit)
        seen.update(zip(rows[found.rows].tolist(), columns[found.columns].tolist(), strict=True))
        return columns[found.free_columns]

    def _reach(self, seen: dict[int, int], detections: Detections, before: float) -> None:
        """Join who was seen in the frame before and is missed now with the clear detections that are nobody's."""
        parameters = self._parameters
        free = detections.scores >= parameters.birth_score
        free[list(seen.values())] = False
        columns = np.flatnonzero(free)
        rows = [row for row, life in enumerate(self._lives) if row not in seen and life.last_seen >= before]
        if not rows or not len(columns):
            return
        some = detections.where(columns)
        boxes = self._filters.boxes()[rows]
        size = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
        margins = np.clip(
            parameters.reach * self._filters.deviation(rows),
            parameters.widening * size,
            parameters.reach_most * size[:, 1:],
        )
        cost = reaches(boxes, some.boxes, margins, parameters.reach_heights)
        kinds = np.array([self._lives[row].kind for row in rows], dtype=np.int16)
        cost[kinds[:, None] != _KIND_OF[some.classes]] = np.inf
        found = assign(cost, parameters.near_reach)
        seen.update(zip((rows[row] for row in found.rows), columns[found.columns].tolist(), strict=True))

    def _learn(self, time: float, passed: float, seen: Mapping[int, int], detections: Detections) -> None:
        """Remember what is weak and belongs to nobody who is believed."""
        nobodys = detections.scores < self._parameters.birth_score
        nobodys[[column for row, column in seen.items() if self._lives[row].believed]] = False
        weak = detections.where(nobodys)
        self._clutter.learn(time, passed, weak.boxes, _KIND_OF[weak.classes], weak.scores)

    def _correct(self, seen: Mapping[int, int], detections: Detections, clutter: Floats, passed: float) -> None:
        if not seen:
            return
        rows, columns = np.array(list(seen), dtype=np.intp), np.array(list(seen.values()), dtype=np.intp)
        self._filters.update(rows, detections.boxes[columns], detections.scores[columns])
        self._see(seen, detections, clutter, passed)

    def _see(self, seen: Mapping[int, int], detections: Detections, clutter: Floats, passed: float) -> None:
        # One conversion for all: single elements of an array are dear.
        positions, scores, classes = (
            self._filters.position.tolist(),
            detections.scores.tolist(),
            detections.classes.tolist(),
        )
        cluttered = (clutter >= self._parameters.clutter_doubt).tolist()
        for row, column in seen.items():
            x, y, _, height = positions[row]
            sighting = Sighting(scores[column], classes[column], (x, y), height, cluttered[column])
            self._lives[row].see(self._time, passed, sighting, self._parameters)

    def _begin(self, seen: dict[int, int], detections: Detections, clutter: Floats, passed: float) -> None:
        """Start tracks at the free detections that are clear enough and not a second look at a known object."""
        begun: dict[int, int] = {}
        free = detections.scores >= self._parameters.birth_score
        free[list(seen.values())] = False
        free &= clutter < self._parameters.clutter_known
        for column in np.flatnonzero(free):
            box, kind = detections.boxes[[column]], int(_KIND_OF[detections.classes[column]])
            rows = [row for row in seen if self._lives[row].kind == kind]
            if (overlaps(box, self._filters.boxes()[rows]) > self._parameters.duplicate_overlap).any():
                continue
            self._filters.append(box)
            self._lives.append(Life(self._fresh_id(), kind, first_seen=self._time, last_seen=self._time))
            seen[len(self._lives) - 1] = begun[len(self._lives) - 1] = int(column)
        self._see(begun, detections, clutter, passed)

    def _fresh_id(self) -> int:
        living = {0, *(life.track for life in self._lives)}
        while (track := self._new_id()) in living:
            pass
        return track

    def _miss(self, seen: Mapping[int, int], passed: float) -> None:
        """Tell the tracks that were not seen, and whether one that was seen stands before them."""
        missed = np.array([row for row in range(len(self._lives)) if row not in seen], dtype=np.intp)
        if not len(missed):
            return
        boxes = self._filters.boxes()
        covered = covered_share(boxes[missed], boxes[list(seen)]) >= self._parameters.cover
        for row, hidden in zip(missed.tolist(), covered.tolist(), strict=True):
            self._lives[row].miss(passed, covered=hidden)

    def _settle(self, seen: Mapping[int, int], detections: Detections) -> TrackedFrame:
        """Move every track through its table, drop the ended ones, and report."""
        before = [life.believed for life in self._lives]
        states = [life.advance(self._time, self._parameters, seen=row in seen) for row, life in enumerate(self._lives)]
        self._filters.halt(np.array([row for row, state in enumerate(states) if state is TrackState.HELD], np.intp))
        tracks = self._report(states, seen, detections)
        over = np.array([state is TrackState.ENDED for state in states], dtype=np.bool_)
        ended = tuple(life.track for life, end, told in zip(self._lives, over, before, strict=True) if end and told)
        self._filters.keep(~over)
        self._lives = [life for life, end in zip(self._lives, over, strict=True) if not end]
        return TrackedFrame(tracks, ended)

    def _report(
        self, states: Sequence[TrackState], seen: Mapping[int, int], detections: Detections
    ) -> tuple[Track, ...]:
        boxes = self._filters.boxes()
        rows, columns = np.array(list(seen), dtype=np.intp), np.array(list(seen.values()), dtype=np.intp)
        boxes[rows] += self._parameters.report_share * (detections.boxes[columns] - boxes[rows])
        corners, velocities = boxes.tolist(), self._filters.foot_velocity().tolist()
        return tuple(
            Track(
                life.track,
                life.object_class,
                tuple(corners[row]),
                tuple(velocities[row]),
                life.first_seen,
                life.last_seen,
                seen.get(row),
                self._sight(life, states[row]),
                life.last_score,
            )
            for row, life in enumerate(self._lives)
            if states[row] in _REPORTED
        )

    def _sight(self, life: Life, state: TrackState) -> Sight:
        if state is TrackState.LOST:
            coast = self._parameters.coast_covered if life.covered else self._parameters.coast
            return Sight.COASTED if self._time - life.last_seen <= coast else Sight.LOST
        return Sight.HELD if state is TrackState.HELD else Sight.SEEN
