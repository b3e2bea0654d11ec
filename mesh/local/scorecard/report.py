"""A scorecard for people and for machines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from mesh.local.scorecard.card import CountScore, RuleScore, Scorecard
from mesh.local.scorecard.intervals import Estimate
from mesh.local.scorecard.matching import Judgement

_NOTHING = "-"


def rule_rows(card: Scorecard) -> Iterator[tuple[str, ...]]:
    """One row a rule: name, detected of all, rate, false alarms a day, time to detect, repeated, unjudged."""
    for each in card.rules:
        detected = len(each.result.detected)
        yield (
            short(each.result.rule),
            f"{detected} of {detected + len(each.result.missed)}",
            _words(each.detection_rate),
            _words(each.false_alarms_per_day),
            _words(each.time_to_detect, " s"),
            str(each.result.count(Judgement.REPETITION)),
            str(each.result.count(Judgement.UNJUDGED)),
        )


def count_rows(card: Scorecard) -> Iterator[tuple[str, ...]]:
    """One row a count: what, counted, true, error."""
    for each in (*card.crossings, *card.occupancy):
        error = _NOTHING if each.error is None else f"{each.error:.1%}"
        yield (f"{short(each.place)} {each.what}", f"{each.counted:.3g}", f"{each.true:.3g}", error)


def unsettled(card: Scorecard) -> Iterator[str]:
    """What somebody should look at: missed episodes, false alarms, and what could not be judged."""
    for each in card.rules:
        for episode in each.result.missed:
            span = f"from {episode.start:.1f} s to {episode.end:.1f} s"
            yield f"missed: {short(episode.rule)} {span} {episode.note}".rstrip()
        for event, judgement in each.result.events:
            if judgement in (Judgement.FALSE_ALARM, Judgement.UNJUDGED):
                yield f"{judgement.value}: {short(event.rule)} at {event.time:.1f} s, {event.explanation}"


def short(name: str) -> str:
    """A resource name without its parents: a scorecard is of one optic."""
    return "/".join(name.split("/")[-2:])


def as_json(card: Scorecard) -> dict[str, Any]:
    """All of a scorecard as JSON values; what is not bounded is null."""
    return {
        "frames": card.replay.frames,
        "seconds": card.replay.seconds,
        "rules": [_rule(each) for each in card.rules],
        "counts": [_count(each) for each in (*card.crossings, *card.occupancy)],
    }


def _rule(each: RuleScore) -> dict[str, Any]:
    return {
        "rule": each.result.rule,
        "detected": len(each.result.detected),
        "missed": [episode.model_dump(exclude={"rule"}) for episode in each.result.missed],
        "detection_rate": _numbers(each.detection_rate),
        "false_alarms_per_optic_day": _numbers(each.false_alarms_per_day),
        "mean_time_to_detect_seconds": _numbers(each.time_to_detect),
        "events": [
            {"time": event.time, "judgement": judgement.name.lower(), "explanation": event.explanation}
            for event, judgement in each.result.events
        ],
    }


def _count(each: CountScore) -> dict[str, Any]:
    return dataclasses.asdict(each)


def _numbers(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {key: value if math.isfinite(value) else None for key, value in dataclasses.asdict(estimate).items()}


def _words(estimate: Estimate | None, unit: str = "") -> str:
    if estimate is None:
        return _NOTHING
    if not math.isfinite(estimate.low):
        return f"{estimate.value:.3g}{unit}"
    return f"{estimate.value:.3g}{unit} ({estimate.low:.3g} to {estimate.high:.3g})"
