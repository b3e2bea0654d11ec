"""How many tracks an optic has seen, from the random track ids in its verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TrackCount:
    """Counts distinct track ids; one that was not seen for ``memory`` verdicts is forgotten: none is kept long."""

    def __init__(self, memory: int = 500) -> None:
        self._memory = memory
        self._verdicts = 0
        self._last_seen: dict[int, int] = {}
        self.current = 0
        """Tracks in the last verdict."""
        self.total = 0
        """Tracks so far."""

    def on_verdict(self, ids: Iterable[int]) -> None:
        """Take the track ids of one verdict; 0 means no track."""
        seen = {track for track in ids if track}
        self._verdicts += 1
        self.current = len(seen)
        self.total += sum(track not in self._last_seen for track in seen)
        self._last_seen.update(dict.fromkeys(seen, self._verdicts))
        if self._verdicts % self._memory == 0:
            oldest = self._verdicts - self._memory
            self._last_seen = {track: last for track, last in self._last_seen.items() if last > oldest}
