"""Turning movements: how many went from one line to another, by class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.detections import ObjectClass
    from detector.domain.rules.line_crossing import Crossing


@dataclass(frozen=True, slots=True)
class TurnCount:
    """How many of one class crossed one line and then, next, another."""

    from_line: str
    to_line: str
    object_class: ObjectClass
    count: int


class TurnCounter:
    """Counts for one optic.

    A movement is a pair of lines that one track crossed one after the other, whichever way. Who crosses three makes two
    movements, who comes back over the same line makes none. A track that is lost between two lines is lost for the
    count as well, so that it is a lower bound.
    """

    def __init__(self) -> None:
        self._last_line: dict[int, str] = {}
        self._counts: Counter[tuple[str, str, ObjectClass]] = Counter()

    def step(self, crossings: Mapping[str, Sequence[Crossing]], ended: Sequence[int]) -> None:
        """Take, by line, the crossings that one frame completed, and the tracks that ended with it."""
        found = [(crossing, line) for line, crossed in crossings.items() for crossing in crossed]
        # At a low frame rate one frame may complete two: the line that was left first was crossed first.
        for crossing, line in sorted(found, key=lambda item: item[0].start_time):
            track, object_class = crossing.presence.track, crossing.presence.object_class
            before = self._last_line.get(track, line)
            if before != line:
                self._counts[before, line, object_class] += 1
            self._last_line[track] = line
        for track in ended:
            self._last_line.pop(track, None)

    def collect(self) -> tuple[TurnCount, ...]:
        """The counts since the last call; tracks that are under way stay so."""
        counts = tuple(TurnCount(*key, count) for key, count in sorted(self._counts.items()))
        self._counts.clear()
        return counts
