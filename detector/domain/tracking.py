"""Following objects from frame to frame within one optic.

Two-stage association: confident detections find their tracks first, then the tracks that are left look among the
weak detections, which alone never begin a track (the idea of ByteTrack, Zhang et al., ECCV 2022). A track's id is
random, belongs to one optic and one stream, is never used again and leads nowhere once the track has ended.
"""

from __future__ import annotations

import enum
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detector.domain.assignment import assign, covered_share, misfits, reaches
from detector.domain.clutter import Clutter
from detector.domain.detections import Boxes, Detections, ObjectClass, overlaps
from detector.domain.kalman import BoxFilters
from detector.domain.track_life import KINDS, Lives, Sightings, TrackState
from detector.domain.tracker_parameters import TrackerParameters

if TYPE_CHECKING:
    from collections.abc import Callable

Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int16]

_KIND_OF: Final = np.array([-1, *(KINDS[member] for member in sorted(ObjectClass))], dtype=np.int16)
_CLASSES: Final = {int(member): member for member in ObjectClass}
_UNSEEN: Final = -1
"""In place of the position of a detection: the track was not seen in this frame."""


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


_SIGHTS: Final = tuple(Sight)


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
        self._lives = Lives()
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
        if len(self._lives):
            self._filters.predict(passed)
        clutter = self._clutter.evidence(detections.boxes, _KIND_OF[detections.classes], detections.scores)
        # Row of the filters and lives -> position of its detection.
        seen = np.full(len(self._lives), _UNSEEN, dtype=np.intp)
        self._associate(seen, detections, before)
        self._reach(seen, detections, before)
        self._learn(time, passed, seen, detections)
        self._correct(seen, detections, clutter, passed)
        seen = self._begin(seen, detections, clutter, passed)
        self._miss(seen, passed)
        return self._settle(seen, detections)

    def _associate(self, seen: Indices, detections: Detections, before: float) -> None:
        """Match tracks with detections: strong ones first, then what is left of the believed with weak ones."""
        parameters, margins = self._parameters, self._margins(before)
        strong = np.flatnonzero(detections.scores >= parameters.strong_score)
        weak = np.flatnonzero(detections.scores < parameters.strong_score)
        believed, reachable = self._lives.believed, self._lives.reachable(self._time, parameters)
        known = np.flatnonzero(believed & reachable)
        strong = self._match(seen, known, strong, detections, margins, limit=parameters.near)
        left = np.flatnonzero(believed & reachable & (seen == _UNSEEN))
        self._match(seen, left, weak, detections, margins, limit=parameters.near_weak)
        tentative = np.flatnonzero(~believed & reachable)
        self._match(seen, tentative, strong, detections, margins, limit=parameters.near)

    def _margins(self, before: float) -> Floats:
        """By how much further than usual each track is looked for, n x 2, pixels along x and y."""
        parameters, position = self._parameters, self._filters.position
        strayed = parameters.stray * self._filters.deviation(slice(None))
        strayed = np.minimum(strayed, parameters.stray_most * position[:, 3:])
        margins = np.maximum(strayed - parameters.widening * position[:, 2:], 0.0)
        margins[self._lives.last_seen < min(before, self._time - parameters.stray_seconds)] = 0.0
        return margins

    def _match(
        self,
        seen: Indices,
        rows: Indices,
        columns: Indices,
        detections: Detections,
        margins: Floats,
        *,
        limit: float,
    ) -> Indices:
        """Match some tracks with some detections; the detections that stayed free."""
        if not len(rows) or not len(columns):
            return columns
        some = detections.where(columns)
        expected, widening = self._filters.boxes()[rows], self._parameters.widening
        cost = misfits(expected, some.boxes, some.scores, widening, margins[rows])
        cost[self._lives.kinds[rows, None] != _KIND_OF[some.classes]] = np.inf
        found = assign(cost, limit)
        seen[rows[found.rows]] = columns[found.columns]
        return columns[found.free_columns]

    def _reach(self, seen: Indices, detections: Detections, before: float) -> None:
        """Join who was seen in the frame before and is missed now with the clear detections that are nobody's."""
        parameters = self._parameters
        columns = np.flatnonzero(self._free(seen, detections))
        rows = np.flatnonzero((seen == _UNSEEN) & (self._lives.last_seen >= before))
        if not len(rows) or not len(columns):
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
        cost[self._lives.kinds[rows, None] != _KIND_OF[some.classes]] = np.inf
        found = assign(cost, parameters.near_reach)
        seen[rows[found.rows]] = columns[found.columns]

    def _free(self, seen: Indices, detections: Detections) -> Flags:
        """Which detections are clear enough to begin a track and nobody's."""
        free = detections.scores >= self._parameters.birth_score
        free[seen[seen != _UNSEEN]] = False
        return free

    def _learn(self, time: float, passed: float, seen: Indices, detections: Detections) -> None:
        """Remember what is weak and belongs to nobody who is believed."""
        nobodys = detections.scores < self._parameters.birth_score
        nobodys[seen[(seen != _UNSEEN) & self._lives.believed]] = False
        weak = detections.where(nobodys)
        self._clutter.learn(time, passed, weak.boxes, _KIND_OF[weak.classes], weak.scores)

    def _correct(self, seen: Indices, detections: Detections, clutter: Floats, passed: float) -> None:
        rows = np.flatnonzero(seen != _UNSEEN)
        if len(rows):
            columns = seen[rows]
            self._filters.update(rows, detections.boxes[columns], detections.scores[columns])
            self._see(rows, columns, detections, clutter, passed)

    def _see(self, rows: Indices, columns: Indices, detections: Detections, clutter: Floats, passed: float) -> None:
        position = self._filters.position[rows]
        sightings = Sightings(
            detections.scores[columns].astype(np.float64),
            detections.classes[columns],
            position[:, :2],
            position[:, 3],
            clutter[columns] >= self._parameters.clutter_doubt,
        )
        self._lives.see(rows, self._time, passed, sightings, self._parameters)

    def _begin(self, seen: Indices, detections: Detections, clutter: Floats, passed: float) -> Indices:
        """Start tracks at the free detections that are clear enough and not a second look at a known object.

        Returns:
            `seen`, with the new tracks.
        """
        free = self._free(seen, detections) & (clutter < self._parameters.clutter_known)
        columns = self._first_looks(np.flatnonzero(free), seen, detections)
        if not len(columns):
            return seen
        rows = np.arange(len(seen), len(seen) + len(columns))
        self._filters.append(detections.boxes[columns])
        self._lives.begin(self._fresh_ids(len(columns)), _KIND_OF[detections.classes[columns]], self._time)
        self._see(rows, columns, detections, clutter, passed)
        return np.concatenate([seen, columns])

    def _first_looks(self, columns: Indices, seen: Indices, detections: Detections) -> Indices:
        """Those of some detections that are no second look at what was seen, nor at a better one of them."""
        if not len(columns):
            return columns
        rows = np.flatnonzero(seen != _UNSEEN)
        boxes, kinds = detections.boxes[columns], _KIND_OF[detections.classes[columns]]
        known = self._seconds(boxes, self._filters.boxes()[rows], kinds, self._lives.kinds[rows]).any(axis=1)
        double = self._seconds(boxes, boxes, kinds, kinds)
        kept: list[int] = []
        for index in np.flatnonzero(~known).tolist():
            if not double[index, kept].any():
                kept.append(index)
        return columns[kept]

    def _seconds(self, boxes: Boxes, others: Boxes, kinds: Kinds, other_kinds: Kinds) -> Flags:
        """Which boxes are second looks at which others."""
        double: Flags = overlaps(boxes, others) > self._parameters.duplicate_overlap
        double &= kinds[:, None] == other_kinds
        return double

    def _fresh_ids(self, number: int) -> list[int]:
        living, fresh = {0, *self._lives.tracks}, list[int]()
        while len(fresh) < number:
            track = self._new_id()
            if track not in living:
                living.add(track)
                fresh.append(track)
        return fresh

    def _miss(self, seen: Indices, passed: float) -> None:
        """Tell the tracks that were not seen, and whether one that was seen stands before them."""
        missed = np.flatnonzero(seen == _UNSEEN)
        if len(missed):
            boxes = self._filters.boxes()
            covered = covered_share(boxes[missed], boxes[seen != _UNSEEN]) >= self._parameters.cover
            self._lives.miss(missed, passed, covered)

    def _settle(self, seen: Indices, detections: Detections) -> TrackedFrame:
        """Move every track through its table, drop the ended ones, and report."""
        before = self._lives.believed
        self._lives.advance(self._time, self._parameters, seen != _UNSEEN)
        self._filters.halt(np.flatnonzero(self._lives.be(TrackState.HELD)))
        tracks = self._report(seen, detections)
        over = self._lives.be(TrackState.ENDED)
        ended = tuple(itertools.compress(self._lives.tracks, (over & before).tolist()))
        if over.any():
            self._filters.keep(~over)
            self._lives.keep(~over)
        return TrackedFrame(tracks, ended)

    def _report(self, seen: Indices, detections: Detections) -> tuple[Track, ...]:
        lives, boxes = self._lives, self._filters.boxes()
        rows = np.flatnonzero(seen != _UNSEEN)
        boxes[rows] += self._parameters.report_share * (detections.boxes[seen[rows]] - boxes[rows])
        told = np.flatnonzero(lives.believed & ~lives.be(TrackState.ENDED))
        columns = (
            [lives.tracks[row] for row in told.tolist()],
            [_CLASSES[number] for number in lives.object_classes[told].tolist()],
            map(tuple, boxes[told].tolist()),
            map(tuple, self._filters.foot_velocity()[told].tolist()),
            lives.first_seen[told].tolist(),
            lives.last_seen[told].tolist(),
            [None if column == _UNSEEN else column for column in seen[told].tolist()],
            self._sights(told),
            lives.last_scores[told].tolist(),
        )
        return tuple(map(Track._make, zip(*columns, strict=True)))

    def _sights(self, rows: Indices) -> list[Sight]:
        """How these are known to be where they are said to be."""
        lives, parameters = self._lives, self._parameters
        coast = np.where(lives.covered, parameters.coast_covered, parameters.coast)
        lost = np.where(self._time - lives.last_seen <= coast, _SIGHTS.index(Sight.COASTED), _SIGHTS.index(Sight.LOST))
        held = np.where(lives.be(TrackState.HELD), _SIGHTS.index(Sight.HELD), _SIGHTS.index(Sight.SEEN))
        sights = np.where(lives.be(TrackState.LOST), lost, held)
        return [_SIGHTS[number] for number in sights[rows].tolist()]
