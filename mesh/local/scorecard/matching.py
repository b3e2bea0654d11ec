"""Which event told which episode.

An event may tell an episode of its rule from the episode's start until a while after its end. One event tells one
episode: the assignment that tells most episodes, and among those the one with the least delays. What is left of the
events is a repetition when it lies within an episode of its rule, cannot be judged when it lies in a time for which
the labels say nothing, and is a false alarm otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from mesh.local.scorecard.truth import Episode, Truth, Unjudged

GRACE_SECONDS: Final = 5.0
"""An event that comes this long after its episode has ended still belongs to it."""
_IMPOSSIBLE: Final = 1e9


@dataclass(frozen=True)
class Told:
    """An event as a rule told it.

    Attributes:
        rule: its name.
        time: of the deciding frame, seconds from the first frame.
        explanation: quantity, value and threshold, in words.
    """

    rule: str
    time: float
    explanation: str = ""


class Judgement(enum.Enum):
    """What an event was."""

    DETECTION = "detection"
    REPETITION = "repetition"
    UNJUDGED = "could not be judged"
    FALSE_ALARM = "false alarm"


@dataclass(frozen=True)
class RuleResult:
    """How a rule's events fit its episodes.

    Attributes:
        rule: its name.
        detected: episodes with the event that told them.
        missed: episodes that nothing told.
        events: every event with what it was, in the order of their times.
    """

    rule: str
    detected: tuple[tuple[Episode, Told], ...]
    missed: tuple[Episode, ...]
    events: tuple[tuple[Told, Judgement], ...]

    def count(self, judgement: Judgement) -> int:
        """How many events were that."""
        return sum(found is judgement for _, found in self.events)

    @property
    def delays(self) -> tuple[float, ...]:
        """Seconds from the defined moment to the event; an event before that moment counts as 0."""
        return tuple(max(0.0, event.time - episode.due) for episode, event in self.detected)


def judge(truth: Truth, rule: str, told: Sequence[Told]) -> RuleResult:
    """How the events of one rule fit the labels.

    Args:
        truth: of the video.
        rule: its name.
        told: every event of the video; those of other rules are left out.
    """
    episodes = [episode for episode in truth.episodes if episode.rule == rule]
    unjudged = [label for label in truth.unjudged if label.rule == rule]
    events = sorted((event for event in told if event.rule == rule), key=lambda event: event.time)
    pairs = _assign(episodes, events)
    detected = {column: episodes[row] for row, column in pairs}
    return RuleResult(
        rule=rule,
        detected=tuple((episode, events[column]) for column, episode in sorted(detected.items())),
        missed=tuple(episode for row, episode in enumerate(episodes) if row not in {row for row, _ in pairs}),
        events=tuple(
            (event, Judgement.DETECTION if column in detected else _left_over(event, episodes, unjudged))
            for column, event in enumerate(events)
        ),
    )


def _assign(episodes: Sequence[Episode], events: Sequence[Told]) -> list[tuple[int, int]]:
    if not episodes or not events:
        return []
    cost = np.array([[_cost(episode, event) for event in events] for episode in episodes])
    rows, columns = linear_sum_assignment(cost)
    return [
        (row, column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if cost[row, column] < _IMPOSSIBLE
    ]


def _cost(episode: Episode, event: Told) -> float:
    return abs(event.time - episode.due) if _within(episode, event.time) else _IMPOSSIBLE


def _within(episode: Episode, time: float) -> bool:
    return episode.start <= time <= episode.end + GRACE_SECONDS


def _left_over(event: Told, episodes: Sequence[Episode], unjudged: Sequence[Unjudged]) -> Judgement:
    if any(_within(episode, event.time) for episode in episodes):
        return Judgement.REPETITION
    if any(label.start <= event.time <= label.end for label in unjudged):
        return Judgement.UNJUDGED
    return Judgement.FALSE_ALARM
