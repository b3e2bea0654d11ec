"""Feasible chains of a vehicle's sightings, by space and time alone: how far, how long, how many others fit as well.

There is no likeness of anything in here. A chain says that one vehicle can have been seen at each of its sightings, not
that it was; its plausibility falls with every other vehicle that can have been seen there as well.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from alerting.domain.search.atlas import Atlas, Position, separation
from alerting.domain.search.memberships import VEHICLES, falling
from alerting.domain.search.query import Query, Track
from alerting.domain.search.scoring import LEAST_PLAUSIBILITY, Scored
from alerting.domain.search.words import amount
from mesh.errors import InvalidArgument

TOP_SPEED: Final = 36.0
"""Metres per second as the crow flies: faster than 130 km/h nothing drives in a city."""
USUAL_TOP_SPEED: Final = 14.0
"""50 km/h, the limit in towns; above it a way is less and less plausible."""
USUAL_SPEED: Final = 5.0
"""As the crow flies, with the detours of a street grid (some 1.4) and lights: 25 km/h on the road. Who takes more than
twice as long, and two minutes, has stopped or gone another way."""
_PATIENCE_SECONDS: Final = 120.0
_LEAST_SLOW: Final = 0.2
_OVERLAP: Final = 0.5
"""Views of two optics may overlap: then one vehicle is seen by both at once. Whether they do is not known."""
UNSEEN: Final = 0.25
"""Weight of the vehicle having been seen by nobody, beside all that were seen."""
MOST_SIGHTINGS: Final = 6
WIDEST: Final = 200
"""Matches of each sighting, and chains, that are carried on: the best."""


@dataclass(frozen=True, slots=True)
class Link:
    """The way from one sighting to the next.

    Attributes:
        feasibility: 0 to 1.
        explanation: in words.
    """

    feasibility: float
    explanation: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Sightings that one vehicle can have made.

    Attributes:
        matches: in order.
        plausibility: 0 to 1.
        alternatives: for each way, how many other vehicles fit as well.
        explanations: for each way.
    """

    matches: tuple[Scored, ...]
    plausibility: float
    alternatives: tuple[int, ...] = ()
    explanations: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[object, ...]:
        """The most plausible first, then the earliest; never two alike."""
        return -self.plausibility, *(key for match in self.matches for key in match.track.key)


def check(query: Query) -> None:
    """Checks that only a vehicle is followed.

    Raises:
        InvalidArgument: the query can be of persons, or of anything (``CHAIN_OF_PERSONS``).
    """
    if len(query.sightings) > 1 and (not query.classes or not query.classes <= VEHICLES):
        raise InvalidArgument(
            "only a vehicle can be asked for at one place and then at another: nobody's tracks are linked over optics",
            reason="CHAIN_OF_PERSONS",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Spot:
    """A match with what its ways are judged by, worked out once: each is looked at with hundreds of others.

    Attributes:
        match: what was seen.
        start: when it came, seconds.
        end: when it was last seen, seconds.
        arrival: where it came; none: not known.
        departure: where it was last.
    """

    match: Scored
    start: float
    end: float
    arrival: Position | None
    departure: Position | None

    @classmethod
    def of(cls, match: Scored, atlas: Atlas) -> _Spot:
        track = match.track
        return cls(
            match,
            track.start_time.timestamp(),
            track.end_time.timestamp(),
            atlas.position(track.optic, track.site, track.from_x),
            atlas.position(track.optic, track.site, track.to_x),
        )


def link(before: Track, after: Track, atlas: Atlas) -> Link:
    """Whether one vehicle can have been both, and that in words."""
    here, there = _Spot.of(Scored(before, 1.0), atlas), _Spot.of(Scored(after, 1.0), atlas)
    return Link(_feasibility(here, there), _way_in_words(here, there))


def _feasibility(before: _Spot, after: _Spot) -> float:
    seconds = after.start - before.end
    if before.match.track.optic == after.match.track.optic:
        # One optic never has two tracks of one vehicle at once.
        return _way(0.0, 0.0, seconds) if seconds >= 0 else 0.0
    if before.departure is None or after.arrival is None:
        return _OVERLAP if seconds >= 0 else 0.0
    least, usual = separation(before.departure, after.arrival)
    if seconds < 0:
        return _OVERLAP if least <= 0 and after.start >= before.start else 0.0
    return _way(least, usual, seconds)


def _way(least: float, usual: float, seconds: float) -> float:
    fast = falling(least / max(seconds, 1.0), USUAL_TOP_SPEED, TOP_SPEED - USUAL_TOP_SPEED)
    patience = 2.0 * usual / USUAL_SPEED + _PATIENCE_SECONDS
    slow = 1.0 if seconds <= patience else max(_LEAST_SLOW, patience / seconds)
    return fast * slow


def _way_in_words(before: _Spot, after: _Spot) -> str:
    seconds = after.start - before.end
    between = amount(max(0.0, seconds))
    if before.match.track.optic == after.match.track.optic:
        return f"on the same optic {between} later"
    if before.departure is None or after.arrival is None:
        return f"{between} between them, how far apart they are is not known"
    least, usual = separation(before.departure, after.arrival)
    if seconds < 0:
        return "both optics may look at one place: they saw it at once"
    speed = f"{least / max(seconds, 1.0) * 3.6:.0f} km/h or more as the crow flies"
    return f"{usual:.0f} m, at least {least:.0f} m, in {between}: {speed}"


@dataclass(frozen=True, slots=True)
class _Carried:
    """A chain that may grow longer."""

    spots: tuple[_Spot, ...]
    plausibility: float
    alternatives: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[object, ...]:
        return -self.plausibility, *(key for spot in self.spots for key in spot.match.track.key)

    def finished(self) -> Chain:
        ways = tuple(
            f"{_way_in_words(here, there)}; {_others(count)}"
            for (here, there), count in zip(pairwise(self.spots), self.alternatives, strict=True)
        )
        return Chain(tuple(spot.match for spot in self.spots), self.plausibility, self.alternatives, ways)


def chains(sightings: Sequence[Sequence[Scored]], atlas: Atlas, keep: int) -> tuple[list[Chain], bool]:
    """The most plausible chains, in order, and whether there were more.

    Args:
        sightings: for each, what fits it, the best first.
        atlas: where things were.
        keep: at most so many.

    The plausibility of a chain is the product of those of its matches, of the feasibilities of its ways, and for each
    way of the share that its match has among all that can be reached: ``w / (UNSEEN + sum of all w)``, where the weight
    ``w`` is the plausibility of the match times the feasibility of the way.
    """
    legs = [[_Spot.of(match, atlas) for match in matches[:WIDEST]] for matches in sightings]
    carried = [_Carried((spot,), spot.match.plausibility) for spot in legs[0]]
    truncated = any(len(matches) > WIDEST for matches in sightings)
    for leg in legs[1:]:
        # Many chains end at one match: what can be reached from there is worked out once.
        onward = {last: _onward(last, leg) for last in {chain.spots[-1] for chain in carried}}
        longer = [
            _Carried((*chain.spots, spot), chain.plausibility * factor, (*chain.alternatives, others))
            for chain in carried
            for spot, factor, others in onward[chain.spots[-1]]
            if chain.plausibility * factor > LEAST_PLAUSIBILITY / 100.0
        ]
        carried = heapq.nsmallest(max(WIDEST, keep), longer, key=lambda chain: chain.order)
        truncated = truncated or len(longer) > len(carried)
    return [chain.finished() for chain in carried[:keep]], truncated or len(carried) > keep


def _onward(last: _Spot, leg: Sequence[_Spot]) -> list[tuple[_Spot, float, int]]:
    """What can be reached: by what the plausibility is multiplied, and how many others fit as well."""
    key = last.match.track.key
    ways = [
        (spot, spot.match.plausibility * feasibility)
        for spot in leg
        if (feasibility := _feasibility(last, spot)) > 0.0 and spot.match.track.key != key
    ]
    weights = sorted(weight for _, weight in ways)
    total = UNSEEN + sum(weights)
    return [
        (spot, weight * weight / total, len(weights) - bisect.bisect_left(weights, weight / 2.0) - 1)
        for spot, weight in ways
    ]


def _others(count: int) -> str:
    return "1 other vehicle fits as well" if count == 1 else f"{count} other vehicles fit as well"
