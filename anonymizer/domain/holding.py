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
    """

    optic: str
    start: datetime
    end: datetime
    expires: datetime


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

    def keeps(self, segment: SegmentName, now: datetime) -> bool:
        """Whether any picture of the segment is held at `now`: a segment is kept whole or not at all."""
        return any(
            now < held.expires and held.start <= segment.start + segment.duration and segment.start < held.end
            for held in self._by_optic.get(segment.optic, ())
        )

    def to_json(self) -> bytes:
        """A form that can be kept."""
        rows = [
            (held.optic, *map(datetime.isoformat, (held.start, held.end, held.expires)))
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
            return cls(frozenset(HeldInterval(optic, *map(datetime.fromisoformat, times)) for optic, *times in rows))
        except (KeyError, TypeError) as error:
            raise ValueError("these are no holds") from error
