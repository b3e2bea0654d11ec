"""How good the rules are on scripted scenes, rule by rule and frame rate by frame rate."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final

from bench.results import Result
from bench.scorecard import CROSSING_BOUND, DETECTION_BOUND, OCCUPANCY_BOUND
from bench.scripted import gatherings, panic, road_users, shadows, walks, weather
from bench.scripted.takes import Study, measure
from mesh.local.scorecard.card import CountScore, RuleScore, Scorecard
from mesh.local.scorecard.intervals import Estimate
from mesh.local.scorecard.matching import Judgement

STUDIES: Final[Mapping[str, Callable[[], Study]]] = {
    "dispersal": panic.dispersal,
    "wrong_way": road_users.wrong_way,
    "stopped_vehicle": road_users.stopped_vehicle,
    "pedestrian_on_carriageway": road_users.pedestrian_on_carriageway,
    "slow_traffic": road_users.slow_traffic,
    "zone_intrusion": walks.zone_intrusion,
    "line_crossing": walks.line_crossing,
    "zone_occupancy": walks.zone_occupancy,
    "loitering": gatherings.loitering,
    "crowd_density": gatherings.crowd_density,
    "crowd_forming": gatherings.crowd_forming,
    "counter_flow": gatherings.counter_flow,
    "running_against_flow": gatherings.running_against_flow,
    "person_down": shadows.person_down,
    "abandoned_object": shadows.abandoned_object,
    "smoke_or_fire": weather.smoke_or_fire,
    "flooding": weather.flooding,
    "lost_visibility": weather.lost_visibility,
}
"""Kind of rule -> what is played before it. Near misses are statistics and tell nothing, so they are not among them."""

RATE: Final = 5.0
"""Analysed frames per second: the policy's default."""
FAST_RATE: Final = 25.0
FAST: Final[Mapping[str, int]] = {
    "dispersal": 5,
    "wrong_way": 3,
    "pedestrian_on_carriageway": 3,
    "line_crossing": 3,
    "running_against_flow": 4,
}
"""Kind of rule -> played at 25 frames/s too, of its takes every third or fourth: all take too long."""
DISPERSAL_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Figure:
    """One rule's scorecard at one frame rate."""

    kind: str
    rate: float
    card: Scorecard


def figures() -> list[Figure]:
    """All of them, on as many processes as there are cores."""
    jobs = [(kind, FAST_RATE) for kind in FAST] + [(kind, RATE) for kind in STUDIES]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = [Figure(kind, rate, card) for (kind, rate), card in zip(jobs, pool.map(_card, jobs), strict=True)]
    return sorted(found, key=lambda each: (list(STUDIES).index(each.kind), each.rate))


def results() -> list[Result]:
    """All figures as rows of the table."""
    print("bench: scripted scenes through the tracker and the rules", file=sys.stderr)
    return [result for figure in figures() for result in _rows(figure)]


def _card(job: tuple[str, float]) -> Scorecard:
    kind, rate = job
    study = STUDIES[kind]()
    if rate == FAST_RATE:
        study = replace(study, takes=study.takes[:: FAST[kind]])
    return measure(study, rate)


def _rows(figure: Figure) -> list[Result]:
    (rule,) = figure.card.rules
    name = f"{figure.kind}, {figure.rate:g}/s"
    rows = [_detections(name, figure.kind, rule), _false_alarms(name, rule, figure.card), _delay(name, figure, rule)]
    if figure.kind == "line_crossing":
        rows.append(_lines(name, [each for each in figure.card.crossings if each.true]))
    if figure.kind == "zone_occupancy":
        rows += [_zone(name, each, OCCUPANCY_BOUND) for each in figure.card.occupancy if each.place.endswith("/square")]
    if figure.kind == "crowd_density":
        rows += [_zone(name, each, None) for each in figure.card.occupancy]
    return rows


def _detections(name: str, kind: str, rule: RuleScore) -> Result:
    detected, missed = len(rule.result.detected), len(rule.result.missed)
    bound = DETECTION_BOUND if kind == "zone_intrusion" else None
    return Result(
        f"{name}: detection rate",
        _words(rule.detection_rate),
        f"{detected} of {detected + missed} episodes told",
        None,
        "" if bound is None else f">= {bound:g}",
        None if bound is None or rule.detection_rate is None else rule.detection_rate.value >= bound,
    )


def _false_alarms(name: str, rule: RuleScore, card: Scorecard) -> Result:
    alarms = rule.result.count(Judgement.FALSE_ALARM)
    repeated = rule.result.count(Judgement.REPETITION)
    return Result(
        f"{name}: false alarms per optic-day",
        _words(rule.false_alarms_per_day),
        f"{alarms} in {card.replay.seconds / 60:.0f} min; {repeated} told twice",
    )


def _delay(name: str, figure: Figure, rule: RuleScore) -> Result:
    judged = figure.kind == "dispersal" and rule.time_to_detect is not None
    longest = max(rule.result.delays, default=float("inf"))
    return Result(
        f"{name}: mean time to detect, s",
        _words(rule.time_to_detect),
        f"longest {longest:.1f} s",
        None,
        f"longest <= {DISPERSAL_SECONDS:g} s" if judged else "",
        longest <= DISPERSAL_SECONDS if judged else None,
    )


def _lines(name: str, counts: list[CountScore]) -> Result:
    counted, true = sum(each.counted for each in counts), sum(each.true for each in counts)
    off = sum(abs(each.counted - each.true) for each in counts) / true
    return Result(
        f"{name}: error of the counts, way by way",
        f"{off:.1%}",
        f"{counted:.0f} counted, {true:.0f} true",
        None,
        f"<= {CROSSING_BOUND:.0%}",
        off <= CROSSING_BOUND,
    )


def _zone(name: str, count: CountScore, bound: float | None) -> Result:
    error = float("inf") if count.error is None else count.error
    return Result(
        f"{name}: occupancy, mean absolute error",
        f"{error:.1%}",
        f"{count.counted:.2f} counted, {count.true:.2f} true",
        None,
        "" if bound is None else f"<= {bound:.0%}",
        None if bound is None else error <= bound,
    )


def _words(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.3g} ({estimate.low:.3g} to {estimate.high:.3g})"
