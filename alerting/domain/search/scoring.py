"""Which tracks fit a sighting, how well, and why: the product of how well they fit each thing that was asked for."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerting.domain.search.atlas import Atlas
from alerting.domain.search.criteria import (
    AtPlace,
    AtSpeed,
    Criterion,
    Fired,
    ForTime,
    InCircle,
    InTime,
    OfClass,
    OfColour,
    Together,
    Towards,
    judged,
)
from alerting.domain.search.query import Query, Sighting, Track

LEAST_PLAUSIBILITY: Final = 0.05
"""What fits worse is no match."""

FiredRules = Mapping[tuple[str, int], Collection[str]]
"""Rules that fired, by optic and track."""
Counts = Mapping[tuple[str, datetime, int], int]
"""How many there were at once, by the key of a track."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A track that fits."""

    track: Track
    plausibility: float

    @property
    def order(self) -> tuple[float, datetime, str, int]:
        """The best first, then the earliest; never two alike."""
        return -self.plausibility, self.track.start_time, self.track.optic, self.track.track


def criteria(
    query: Query, sighting: Sighting, atlas: Atlas, *, fired: FiredRules, counts: Counts
) -> tuple[Criterion, ...]:
    """What a sighting asks for, in the order in which it is explained."""
    movement = sighting.movement
    found: list[Criterion | None] = [
        OfClass(query.classes) if query.classes else None,
        OfColour(query.colours) if query.colours else None,
        InTime(sighting),
        InCircle(sighting.circle, atlas) if sighting.circle is not None else None,
        AtPlace(movement.places) if movement.places else None,
        Towards(movement, movement.heading, atlas) if movement.heading is not None else None,
        AtSpeed(movement.minimum_speed, movement.maximum_speed)
        if (movement.minimum_speed, movement.maximum_speed) != (None, None)
        else None,
        ForTime(movement.minimum_dwell, still=False) if movement.minimum_dwell else None,
        ForTime(movement.minimum_stop, still=True) if movement.minimum_stop else None,
        Fired(sighting.rules, fired) if sighting.rules else None,
        Together(query.minimum_count, counts) if query.minimum_count > 1 else None,
    ]
    return tuple(criterion for criterion in found if criterion is not None)


def score(track: Track, asked: Iterable[Criterion]) -> float:
    """How well a track fits, 0 to 1."""
    plausibility = 1.0
    for criterion in asked:
        plausibility *= criterion.membership(track)
        if plausibility < LEAST_PLAUSIBILITY:
            return 0.0
    return plausibility


def best(found: Iterable[Scored], keep: int) -> tuple[list[Scored], bool]:
    """The best, in order, and whether there were more."""
    found = list(found)
    return heapq.nsmallest(keep, found, key=lambda each: each.order), len(found) > keep


def explain(track: Track, asked: Iterable[Criterion]) -> tuple[str, ...]:
    """What speaks for a track and against it, in words."""
    return tuple(f"{judged(criterion.membership(track))}: {criterion.say(track)}" for criterion in asked)


def count_together(tracks: Iterable[Track]) -> dict[tuple[str, datetime, int], int]:
    """How many tracks of its optic there were at most at one time of each track's life, itself among them."""
    by_optic: dict[str, list[Track]] = {}
    for track in tracks:
        by_optic.setdefault(track.optic, []).append(track)
    return {key: count for group in by_optic.values() for key, count in _overlaps(group).items()}


def _overlaps(group: list[Track]) -> dict[tuple[str, datetime, int], int]:
    """A sweep over starts and ends: the number there is after a start holds for all that live then."""
    steps = sorted(
        [(track.start_time, 1, track.key) for track in group] + [(track.end_time, 2, track.key) for track in group]
    )
    alive: set[tuple[str, datetime, int]] = set()
    most: dict[tuple[str, datetime, int], int] = {}
    for _time, kind, key in steps:
        if kind == 1:
            alive.add(key)
            for each in alive:
                most[each] = max(most.get(each, 0), len(alive))
        else:
            alive.discard(key)
    return most
