"""The scorecard of one video: per rule how much was told, how often wrongly and how soon; counts beside true counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mesh.local.scorecard.intervals import Estimate, mean, rate, share
from mesh.local.scorecard.matching import Judgement, RuleResult, Told, judge
from mesh.local.scorecard.truth import Crossings, Occupancy, Truth

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True)
class ZoneMean:
    """What the detector counted in a zone in one interval.

    Attributes:
        zone: its name.
        object_class: whom, in lower case.
        start: seconds from the first frame.
        interval: seconds.
        mean: number present, on average.
    """

    zone: str
    object_class: str
    start: float
    interval: float
    mean: float


@dataclass(frozen=True)
class Replay:
    """What the detector said of a video.

    Attributes:
        frames: how many were analysed.
        seconds: how long the video is.
        told: every event.
        crossings: counted over lines.
        occupancy: counted in zones.
        intervals: (start, length) of the intervals of the counts, seconds.
    """

    frames: int
    seconds: float
    told: tuple[Told, ...]
    crossings: tuple[Crossings, ...]
    occupancy: tuple[ZoneMean, ...]
    intervals: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class RuleScore:
    """How good a rule was.

    Attributes:
        result: event by event.
        detection_rate: detected of all episodes; None: there were none.
        false_alarms_per_day: of one optic; None: no time could be judged.
        time_to_detect: mean, seconds from the defined moment; None: nothing was detected.
    """

    result: RuleResult
    detection_rate: Estimate | None
    false_alarms_per_day: Estimate | None
    time_to_detect: Estimate | None


@dataclass(frozen=True)
class CountScore:
    """A count beside the true one.

    Attributes:
        place: name of the line or zone.
        what: class and direction.
        counted: by the detector.
        true: by the labels.
        error: share of the true number by which it is off; None: the true number is 0.
    """

    place: str
    what: str
    counted: float
    true: float
    error: float | None


@dataclass(frozen=True)
class Scorecard:
    """All of it."""

    replay: Replay
    rules: tuple[RuleScore, ...]
    crossings: tuple[CountScore, ...]
    occupancy: tuple[CountScore, ...]


def score(truth: Truth, replay: Replay, frame_rate: float) -> Scorecard:
    """How good the rules and counts of a video were.

    Args:
        truth: its labels.
        replay: what the detector said.
        frame_rate: frames per second of the video.
    """
    return Scorecard(
        replay=replay,
        rules=tuple(_rule(truth, rule.name, replay) for rule in truth.scene().rules),
        crossings=tuple(each for label in truth.crossings for each in _crossings(label, replay.crossings)),
        occupancy=tuple(_occupancy(label, replay, frame_rate) for label in truth.occupancy),
    )


def _rule(truth: Truth, rule: str, replay: Replay) -> RuleScore:
    result = judge(truth, rule, replay.told)
    unjudged = sum(label.end - label.start for label in truth.unjudged if label.rule == rule)
    return RuleScore(
        result=result,
        detection_rate=share(len(result.detected), len(result.detected) + len(result.missed)),
        false_alarms_per_day=rate(result.count(Judgement.FALSE_ALARM), (replay.seconds - unjudged) / DAY_SECONDS),
        time_to_detect=mean(result.delays),
    )


def _crossings(label: Crossings, counted: Sequence[Crossings]) -> list[CountScore]:
    same = [each for each in counted if (each.line, each.object_class) == (label.line, label.object_class)]
    there, back = sum(each.left_to_right for each in same), sum(each.right_to_left for each in same)
    return [
        _count(label.line, f"{label.object_class} left to right", there, label.left_to_right),
        _count(label.line, f"{label.object_class} right to left", back, label.right_to_left),
    ]


def _occupancy(label: Occupancy, replay: Replay, frame_rate: float) -> CountScore:
    """Mean over the intervals; the error is the mean absolute one, so that too many and too few do not cancel."""
    counted = {
        each.start: each.mean
        for each in replay.occupancy
        if (each.zone, each.object_class) == (label.zone, label.object_class)
    }
    pairs = []
    for start, length in replay.intervals:
        frames = label.present[round(start * frame_rate) : round((start + length) * frame_rate)]
        if frames:
            # An interval in which nobody was seen is one with 0.
            pairs.append((counted.get(start, 0.0), sum(frames) / len(frames)))
    total = sum(true for _, true in pairs)
    error = sum(abs(seen - true) for seen, true in pairs) / total if total else None
    number = max(len(pairs), 1)
    return CountScore(label.zone, label.object_class, sum(seen for seen, _ in pairs) / number, total / number, error)


def _count(place: str, what: str, counted: float, true: float) -> CountScore:
    return CountScore(place, what, counted, true, abs(counted - true) / true if true else None)
