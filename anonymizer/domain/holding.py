"""Legal holds: the only thing that keeps recordings beyond their term."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from anonymizer.domain.segments import SegmentName

LONGEST_POSTPONEMENT: Final = timedelta(days=1)
"""How long erasure waits for a registry that does not say what is held. After it, what was held last is all that is
kept: a broken registry must not become a way of keeping everything."""


@dataclass(frozen=True, slots=True, order=True)
class HeldInterval:
    """Pictures of one optic that must not be erased.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        start: of their capture, aware.
        end: of their capture, aware.
        expires: when the hold is over, aware.
        hold: `holds/{hold}`; empty where it is not known.
    """

    optic: str
    start: datetime
    end: datetime
    expires: datetime
    hold: str = ""


@dataclass(frozen=True)
class Holds:
    """All that is held, as the registry said it at one time.

    Attributes:
        intervals: in any order.
    """

    intervals: frozenset[HeldInterval] = frozenset()

    @functools.cached_property
    def _by_optic(self) -> Mapping[str, Sequence[HeldInterval]]:
        found: dict[str, list[HeldInterval]] = {}
        for held in self.intervals:
            found.setdefault(held.optic, []).append(held)
        return found

    def of(self, optic: str, now: datetime) -> list[HeldInterval]:
        """What is held of an optic at `now`."""
        return [held for held in self._by_optic.get(optic, ()) if now < held.expires]

    def keeps(self, segment: SegmentName, now: datetime) -> bool:
        """Whether any picture of the segment is held at `now`: a segment is kept whole or not at all."""
        return any(
            held.start <= segment.start + segment.duration and segment.start < held.end
            for held in self.of(segment.optic, now)
        )

    def names(self, optic: str, start: datetime, end: datetime, now: datetime) -> list[str]:
        """The holds that keep any picture of an optic from `start` to `end`, ordered by name."""
        held = (each for each in self.of(optic, now) if each.start <= end and start < each.end)
        return sorted({each.hold for each in held if each.hold})

    def to_json(self) -> bytes:
        """A form that can be kept."""
        rows = [
            (held.optic, *map(datetime.isoformat, (held.start, held.end, held.expires)), held.hold)
            for held in sorted(self.intervals)
        ]
        return json.dumps({"intervals": rows}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Holds:
        """The reverse of `to_json`.

        Raises:
            ValueError: the content is something else.
        """
        try:
            rows = json.loads(content)["intervals"]
            return cls(frozenset(_interval(*row) for row in rows))
        except (KeyError, TypeError) as error:
            raise ValueError("these are no holds") from error


def _interval(optic: str, start: str, end: str, expires: str, hold: str = "") -> HeldInterval:
    # What was kept before the holds' names were has four parts.
    times = datetime.fromisoformat(start), datetime.fromisoformat(end), datetime.fromisoformat(expires)
    return HeldInterval(optic, *times, hold)
