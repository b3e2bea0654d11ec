"""Feasible chains of a vehicle's sightings, by space and time alone: how far, how long, how many others fit as well.

There is no likeness of anything in here. A chain says that one vehicle can have been seen at each of its sightings, not
that it was; its plausibility falls with every other vehicle that can have been seen there as well.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
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


def link(before: Track, after: Track, atlas: Atlas) -> Link:
    """Whether one vehicle can have been both."""
    seconds = (after.start_time - before.end_time).total_seconds()
    if before.optic == after.optic:
        # One optic never has two tracks of one vehicle at once.
        return _way(0.0, 0.0, seconds) if seconds >= 0 else Link(0.0, "both were on one optic at once")
    here = atlas.position(before.optic, before.site, before.to_x)
    there = atlas.position(after.optic, after.site, after.from_x)
    if here is None or there is None:
        value = _OVERLAP if seconds >= 0 else 0.0
        return Link(value, f"{amount(max(0.0, seconds))} between them, how far apart they are is not known")
    return _between(here, there, seconds, starts_later=after.start_time >= before.start_time)


def _between(here: Position, there: Position, seconds: float, *, starts_later: bool) -> Link:
    least, usual = separation(here, there)
    if seconds < 0:
        if least > 0 or not starts_later:
            return Link(0.0, "they were at two places at once")
        return Link(_OVERLAP, "both may look at one place: they saw it at once")
    return _way(least, usual, seconds)


def _way(least: float, usual: float, seconds: float) -> Link:
    needed = least / max(seconds, 1.0)
    fast = falling(needed, USUAL_TOP_SPEED, TOP_SPEED - USUAL_TOP_SPEED)
    patience = 2.0 * usual / USUAL_SPEED + _PATIENCE_SECONDS
    slow = 1.0 if seconds <= patience else max(_LEAST_SLOW, patience / seconds)
    speed = f"{needed * 3.6:.0f} km/h or more as the crow flies"
    return Link(fast * slow, f"{usual:.0f} m, at least {least:.0f} m, in {amount(seconds)}: {speed}")


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
    carried = [Chain((match,), match.plausibility) for match in sightings[0][:WIDEST]]
    truncated = any(len(matches) > WIDEST for matches in sightings)
    for matches in sightings[1:]:
        longer = [chain for before in carried for chain in _prolonged(before, matches[:WIDEST], atlas)]
        carried = heapq.nsmallest(max(WIDEST, keep), longer, key=lambda chain: chain.order)
        truncated = truncated or len(longer) > len(carried)
    return carried[:keep], truncated or len(carried) > keep


def _prolonged(before: Chain, matches: Sequence[Scored], atlas: Atlas) -> list[Chain]:
    last = before.matches[-1].track
    ways = [(match, link(last, match.track, atlas)) for match in matches if match.track.key != last.key]
    weights = [match.plausibility * way.feasibility for match, way in ways]
    total = UNSEEN + sum(weights)
    longer = []
    for (match, way), weight in zip(ways, weights, strict=True):
        plausibility = before.plausibility * weight * weight / total
        if plausibility <= LEAST_PLAUSIBILITY / 100.0:
            continue
        others = sum(1 for other in weights if other >= weight / 2.0) - 1
        fits = f"{others} other vehicle{'' if others == 1 else 's'} fit{'s' if others == 1 else ''} as well"
        longer.append(
            Chain(
                (*before.matches, match),
                plausibility,
                (*before.alternatives, others),
                (*before.explanations, f"{way.explanation}; {fits}"),
            )
        )
    return longer
