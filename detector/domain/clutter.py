"""Things that the detector takes for an object again and again: a stone, a sign, a reflection.

They are told by what an object does not do: they are weak, they stay on the spot, and they never came from anywhere.
The memory of one optic is a list of places; a place that was seen long enough is known, fades when it is not seen any
more, and is forgotten. What is known may not begin a track, and a track that stops on it is not kept alive by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detector.domain.detections import Boxes, Scores, meetings, overlaps_of

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int16]
Indices = npt.NDArray[np.intp]

SAME_PLACE_OVERLAP: Final = 0.5
"""Intersection over union from which two detections are of one place."""
RUN_SECONDS: Final = 1.0
"""A place counts from here on: who walks by stands on no spot for so long."""
RUN_GAP_SECONDS: Final = 1.0
"""A run may be interrupted for so long."""
LARGEST_STEP_SECONDS: Final = 0.5
"""A frame does not stand for more time than this."""
HALF_LIFE_SECONDS: Final = 600.0
"""What is not seen any more is half forgotten after this: light and parked cars change."""
WORTHLESS_SECONDS: Final = 0.05
CAPACITY: Final = 512
"""Places of one optic; the least known go first."""
SCORE_MARGIN: Final = 0.2
"""A detection that is better than the place's mean score by more than this is something else in front of it."""
_SMOOTHING: Final = 0.1


@dataclass(slots=True)
class _Places:
    boxes: Boxes
    kinds: Kinds
    scores: Floats
    run_start: Floats
    last_seen: Floats
    seconds: Floats

    def __len__(self) -> int:
        return len(self.kinds)

    @classmethod
    def at(cls, time: float, boxes: Boxes, kinds: Kinds, scores: Scores) -> _Places:
        count = len(kinds)
        now = np.full(count, time)
        return cls(boxes.copy(), kinds.copy(), scores.astype(np.float64), now, now.copy(), np.zeros(count))

    def where(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> _Places:
        return _Places(
            self.boxes[keep],
            self.kinds[keep],
            self.scores[keep],
            self.run_start[keep],
            self.last_seen[keep],
            self.seconds[keep],
        )

    def alike(self, boxes: Boxes, kinds: Kinds) -> tuple[Indices, Indices, npt.NDArray[np.float32]]:
        """Which boxes are of which places: positions of both, box by box, and their overlap."""
        found, places = meetings(boxes, self.boxes)
        same_kind = kinds[found] == self.kinds[places]
        found, places = found[same_kind], places[same_kind]
        overlap = overlaps_of(boxes[found], self.boxes[places])
        same = overlap >= SAME_PLACE_OVERLAP
        return found[same], places[same], overlap[same]

    def and_also(self, other: _Places) -> _Places:
        return _Places(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.kinds, other.kinds]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.run_start, other.run_start]),
            np.concatenate([self.last_seen, other.last_seen]),
            np.concatenate([self.seconds, other.seconds]),
        )


class Clutter:
    """The memory of one optic, for one size of picture."""

    def __init__(self) -> None:
        nothing = np.empty(0)
        self._places = _Places.at(0.0, np.empty((0, 4), np.float32), np.empty(0, np.int16), nothing.astype(np.float32))

    def __len__(self) -> int:
        return len(self._places)

    def learn(self, time: float, passed: float, boxes: Boxes, kinds: Kinds, scores: Scores) -> None:
        """Take the weak detections of one frame that are nobody's.

        Args:
            time: capture time, seconds; never smaller than before.
            passed: since the frame before, seconds.
            boxes: float32, n x 4, pixels.
            kinds: n, see `detector.domain.track_life.Kind`.
            scores: float32, n.
        """
        self._places.seconds *= 0.5 ** (passed / HALF_LIFE_SECONDS)
        found, places, overlap = self._places.alike(boxes, kinds)
        # Of each box the place that it fits best; of each place the first of its boxes.
        order = np.lexsort((places, -overlap, found))
        found, first = np.unique(found[order], return_index=True)
        places, first = np.unique(places[order][first], return_index=True)
        unknown = np.ones(len(kinds), dtype=np.bool_)
        unknown[found] = False
        confirmed = found[first]
        self._confirm(time, passed, places, boxes[confirmed], scores[confirmed])
        kept = self._places.and_also(_Places.at(time, boxes[unknown], kinds[unknown], scores[unknown]))
        kept = kept.where((kept.seconds > WORTHLESS_SECONDS) | (time - kept.last_seen <= RUN_GAP_SECONDS))
        if len(kept) > CAPACITY:
            kept = kept.where(np.lexsort((kept.last_seen, kept.seconds))[-CAPACITY:])
        self._places = kept

    def evidence(self, boxes: Boxes, kinds: Kinds, scores: Scores) -> Floats:
        """For how many seconds a thing like each of these has been seen on its spot; float64, n.

        0 for what is clearly better than what was there before.
        """
        longest: Floats = np.zeros(len(kinds))
        known = self._places.where(self._places.seconds > 0.0)
        found, places, _ = known.alike(boxes, kinds)
        no_better = scores[found] <= known.scores[places] + SCORE_MARGIN
        np.maximum.at(longest, found[no_better], known.seconds[places[no_better]])
        return longest

    def _confirm(self, time: float, passed: float, rows: npt.NDArray[np.intp], boxes: Boxes, scores: Scores) -> None:
        places = self._places
        broken = rows[time - places.last_seen[rows] > RUN_GAP_SECONDS]
        places.run_start[broken] = time
        places.last_seen[rows] = time
        counted = rows[time - places.run_start[rows] >= RUN_SECONDS]
        places.seconds[counted] += min(passed, LARGEST_STEP_SECONDS)
        places.boxes[rows] += _SMOOTHING * (boxes - places.boxes[rows])
        places.scores[rows] += _SMOOTHING * (scores - places.scores[rows])
