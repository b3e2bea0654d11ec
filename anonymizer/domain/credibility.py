"""Whether a detector sees at all, or guesses: what it is sure of must be there again a moment later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anonymizer.domain.verdict import CONFIDENT, Boxes, Verdict


@dataclass(frozen=True, slots=True)
class CredibilityRules:
    """When a detector is not believed.

    Attributes:
        longest_gap_seconds: verdicts further apart than this say nothing about each other.
        reach: how far a thing moves between them at most, in its own longer side: a car on a motorway at 5 frames/s.
        alike: by which factor its width and height may differ.
        memory: weight of the detections before, per verdict.
        enough: so many detections, weighted, must have been compared.
        least_followed: the share of them that must have been there a moment before. Boxes at random: below a fifth.
    """

    longest_gap_seconds: float = 0.5
    reach: float = 1.5
    alike: float = 1.65
    memory: float = 0.98
    enough: float = 8.0
    least_followed: float = 0.3


class Credibility:
    """The record of one optic's detector."""

    def __init__(self, rules: CredibilityRules | None = None) -> None:
        self.rules = rules or CredibilityRules()
        self._before: Verdict | None = None
        self._before_at = -np.inf
        self._compared = 0.0
        self._followed = 0.0

    def update(self, verdict: Verdict, now: float) -> bool:
        """Takes the verdict of the frame that was captured at `now` (seconds); whether the detector is believed."""
        before, elapsed = self._before, now - self._before_at
        self._before, self._before_at = verdict, now
        if before is not None and 0 < elapsed <= self.rules.longest_gap_seconds:
            sure = verdict.boxes[verdict.scores >= CONFIDENT]
            self._compared = self.rules.memory * self._compared + len(sure)
            self._followed = self.rules.memory * self._followed + int(self._found_again(sure, before.boxes).sum())
        return self._compared < self.rules.enough or self._followed >= self.rules.least_followed * self._compared

    def _found_again(self, boxes: Boxes, before: Boxes) -> npt.NDArray[np.bool_]:
        """For each box whether one of those before may have been the same thing."""
        if not len(boxes) or not len(before):
            return np.zeros(len(boxes), np.bool_)
        centres, sides = _centres_and_sides(boxes)
        old_centres, old_sides = _centres_and_sides(before)
        distance = _farthest(centres, old_centres)
        is_near = distance <= self.rules.reach * np.maximum(sides[:, 0], sides[:, 1])[:, None]
        is_alike = _farthest(np.log(sides), np.log(old_sides)) <= np.log(self.rules.alike)
        found: npt.NDArray[np.bool_] = (is_near & is_alike).any(axis=1)
        return found


def _centres_and_sides(boxes: Boxes) -> tuple[Boxes, Boxes]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], np.float32(1e-4))
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32), sides.astype(np.float32)


def _farthest(one: Boxes, other: Boxes) -> Boxes:
    """The larger of the distances in x and in y, of every pair: len(one) x len(other)."""
    across = np.abs(one[:, None, 0] - other[None, :, 0])
    down = np.abs(one[:, None, 1] - other[None, :, 1])
    farthest: Boxes = np.maximum(across, down)
    return farthest
