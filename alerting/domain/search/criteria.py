"""What a sighting asks for, one criterion each: how well a track fits it, and that in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from alerting.domain.search import memberships
from alerting.domain.search.atlas import Atlas, Point, distance
from alerting.domain.search.directions import Direction, direction_error, directions
from alerting.domain.search.memberships import UNKNOWN, falling, of_class, of_colour, rising, turn
from alerting.domain.search.query import Circle, Movement, Sighting, Track
from alerting.domain.search.words import CLASSES, COLOURS, amount, either

SPEED_SLACK: Final = 0.25
"""Share of an asked speed over which a track goes from fitting to not fitting: witnesses guess speeds badly."""
_STILL_FLANK: Final = 0.5
"""Likewise for times: a track that broke in two tells half of it."""
_SILENT_RULE: Final = 0.25
"""A rule that did not fire: rules miss some, the scorecards say how many."""


class Criterion(Protocol):
    """One thing that was asked for."""

    def membership(self, track: Track) -> float:
        """How well a track fits, 0 to 1; ``UNKNOWN`` when it cannot be told."""
        ...

    def say(self, track: Track) -> str:
        """What is known of the track, against what was asked for."""
        ...


@dataclass(frozen=True)
class OfClass:
    """What it is."""

    asked: frozenset[int]

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        return of_class(track.object_class, self.asked)

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        return f"it is a {CLASSES[track.object_class]}, asked for: {either(CLASSES, self.asked)}"


@dataclass(frozen=True)
class OfColour:
    """The colour of a vehicle."""

    asked: frozenset[int]

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        return of_colour(track.colour, track.colour_confidence, self.asked)

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        asked = f"asked for: {either(COLOURS, self.asked)}"
        if not track.colour:
            return f"its colour is not known, {asked}"
        return f"its colour is {COLOURS[track.colour]} with confidence {track.colour_confidence:.2f}, {asked}"


@dataclass(frozen=True)
class InTime:
    """When."""

    sighting: Sighting

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        return falling(self._gap(track), 0.0, self.sighting.tolerance.total_seconds())

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        gap = self._gap(track)
        where = "within the time asked for" if gap <= 0 else f"{amount(gap)} off the time asked for"
        return f"it was in view for {amount(track.seconds)} from {_clock(track.start_time)}, {where}"

    def _gap(self, track: Track) -> float:
        before = (self.sighting.start_time - track.end_time).total_seconds()
        after = (track.start_time - self.sighting.end_time).total_seconds()
        return max(before, after)


@dataclass(frozen=True)
class InCircle:
    """Around a point: fully when all of where it can have been lies inside, not at all when none of it does."""

    circle: Circle
    atlas: Atlas

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        known = self._known(track)
        if known is None:
            return UNKNOWN
        between, radius = known
        core = max(0.0, self.circle.radius - radius)
        return falling(between, core, self.circle.radius + radius - core)

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        known = self._known(track)
        if known is None:
            return f"where it was is not known: {track.site or 'its site'} is not on the map"
        return (
            f"it was {known[0]:.0f} m from the middle, give or take {known[1]:.0f} m, asked for: within "
            f"{self.circle.radius:.0f} m"
        )

    def _known(self, track: Track) -> tuple[float, float] | None:
        x = (track.from_x + track.to_x) / 2.0 if track.from_x is not None and track.to_x is not None else None
        position = self.atlas.position(track.optic, track.site, x)
        if position is None:
            return None
        return distance(position.center, Point(self.circle.latitude, self.circle.longitude)), position.radius


@dataclass(frozen=True)
class Towards:
    """In which direction, on the whole way or at its end, whichever fits better."""

    movement: Movement
    heading: float
    atlas: Atlas

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        best = self._best(track)
        if best is None:
            return UNKNOWN
        off = turn(best.degrees, self.heading)
        return falling(off, self.movement.heading_tolerance, direction_error(best))

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        asked = f"asked for: {self.heading:.0f}° give or take {self.movement.heading_tolerance:.0f}°"
        best = self._best(track)
        if best is None:
            return f"its direction is not known, {asked}"
        how = "over the ground" if best.on_ground else "by its way through the picture"
        when = "left in" if best.at_end else "moved in"
        return f"it {when} direction {best.degrees:.0f}° {how}, give or take {direction_error(best):.0f}°, {asked}"

    def _best(self, track: Track) -> Direction | None:
        found = directions(track, self.atlas)
        return min(found, key=lambda each: turn(each.degrees, self.heading), default=None)


@dataclass(frozen=True)
class AtSpeed:
    """How fast."""

    least: float | None
    most: float | None

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        if track.speed_low is None or track.speed_high is None:
            return UNKNOWN
        fast = 1.0 if self.least is None else rising(track.speed_high, self.least, SPEED_SLACK * self.least)
        slow = 1.0 if self.most is None else falling(track.speed_low, self.most, SPEED_SLACK * self.most + 0.5)
        return min(fast, slow)

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        asked = " and ".join(
            f"{word} {value:.1f} m/s"
            for word, value in (("at least", self.least), ("at most", self.most))
            if value is not None
        )
        if track.speed_low is None or track.speed_high is None:
            return f"its speed is not known, asked for: {asked}"
        return f"its speed was {track.speed_low:.1f} to {track.speed_high:.1f} m/s, asked for: {asked}"


@dataclass(frozen=True)
class ForTime:
    """How long it stayed in view, or stood still."""

    least: float
    still: bool

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        seconds = self._seconds(track)
        return UNKNOWN if seconds is None else rising(seconds, self.least, _STILL_FLANK * self.least)

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        seconds, what = self._seconds(track), "stood still" if self.still else "was in view"
        if seconds is None:
            return f"whether it {what} is not known, asked for: at least {amount(self.least)}"
        return f"it {what} for {amount(seconds)}, asked for: at least {amount(self.least)}"

    def _seconds(self, track: Track) -> float | None:
        return track.still_seconds if self.still else track.seconds


@dataclass(frozen=True)
class Fired:
    """Whether one of some rules fired on it."""

    rules: frozenset[str]
    by_track: Mapping[tuple[str, int], Collection[str]]

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        return 1.0 if (track.optic, track.track) in self.by_track else _SILENT_RULE

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        fired = self.by_track.get((track.optic, track.track))
        asked = " or ".join(sorted(self.rules))
        return f"{' and '.join(sorted(fired))} fired on it" if fired else f"{asked} did not fire on it"


@dataclass(frozen=True)
class Together:
    """How many there were at once."""

    least: int
    counts: Mapping[tuple[str, datetime, int], int]

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        # A detector misses some of a group: half of them make it a quarter as plausible.
        return min(1.0, self.counts.get(track.key, 1) / self.least) ** 2

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        return f"{self.counts.get(track.key, 1)} were on the optic at once, asked for: at least {self.least}"


@dataclass(frozen=True)
class AtPlace:
    """Zones and lines; who was at none of them is not looked at."""

    places: frozenset[tuple[str, str]]

    def membership(self, track: Track) -> float:
        """See ``Criterion``."""
        return 1.0 if self._at(track) else 0.0

    def say(self, track: Track) -> str:
        """See ``Criterion``."""
        words = {"zones": "it was in zone", "lines": "it crossed line"}
        return " and ".join(
            f'{words[kind]} "{name}"' for kind, name in (each.split("/", 1) for each in self._at(track))
        )

    def _at(self, track: Track) -> list[str]:
        return [place for place in track.places if (track.optic, place) in self.places]


def judged(value: float) -> str:
    """Whether a membership speaks for, against, or neither."""
    if value >= memberships.SPEAKS_FOR:
        return "for"
    return "unknown" if value == UNKNOWN else "against"


def _clock(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")
