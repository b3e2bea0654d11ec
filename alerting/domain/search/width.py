"""Thresholds against fishing: how much of the city, how long, how many tracks, before a second person is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alerting.domain.search.query import Sighting
from mesh.errors import FailedPrecondition


@dataclass(frozen=True)
class Limits:
    """What one person may ask for alone.

    Attributes:
        optic_hours: optics that could have seen it, times hours.
        matches: tracks that have to be looked at.
        matches_approved: likewise, with the approval of a second person.
    """

    optic_hours: float
    matches: int
    matches_approved: int


@dataclass(frozen=True)
class Width:
    """How wide a search is; see ``Limits``."""

    optic_hours: float
    matches: int


def optic_hours(sightings: Iterable[tuple[Sighting, int]]) -> float:
    """Over all sightings, each with the number of its optics."""
    return sum(
        optics * (sighting.latest - sighting.earliest).total_seconds() / 3600.0 for sighting, optics in sightings
    )


def check(width: Width, limits: Limits, *, approved: bool) -> None:
    """Checks that a search is not too wide.

    Raises:
        FailedPrecondition: it is (``SEARCH_TOO_WIDE``).
    """
    if approved and width.matches <= limits.matches_approved:
        return
    if not approved and width.optic_hours <= limits.optic_hours and width.matches <= limits.matches:
        return
    remedy = "narrow it down" if approved else "narrow it down, or ask a second person to approve exactly this query"
    most = limits.matches_approved if approved else limits.matches
    # A count stops where the limit is passed.
    found = f"more than {most}" if width.matches > most else str(width.matches)
    raise FailedPrecondition(
        f"the search is over {width.optic_hours:.0f} optic hours and {found} tracks: {remedy}",
        reason="SEARCH_TOO_WIDE",
        metadata={
            "opticHours": f"{width.optic_hours:.1f}",
            "maximumOpticHours": f"{limits.optic_hours:g}",
            "expectedMatches": found,
            "maximumMatches": str(most),
        },
    )
