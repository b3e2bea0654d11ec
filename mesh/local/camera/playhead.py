"""The camera's one clock: hands each access unit, when it is due, to everyone who is watching."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mesh.local.camera.sdp import CLOCK_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh.local.camera.clip import AccessUnit, Clip

_POLL_SECONDS: Final = 0.02
"""How often to look whether the clip's background thread got further."""

_MAX_LAG_SECONDS: Final = 1.0
"""Later than this (a suspended machine, a slow encoder) the clock is set anew instead of caught up in a burst."""


@dataclass(frozen=True, slots=True)
class DueUnit:
    """An access unit and the moment when it is due.

    Attributes:
        unit: the access unit.
        due: seconds on the event loop's clock; increases over the loop of the clip.
        clip: where it comes from.
    """

    unit: AccessUnit
    due: float
    clip: Clip


class Viewer(Protocol):
    """Whoever wants to see the camera's pictures."""

    def show(self, unit: DueUnit) -> None:
        """Take one access unit; must not block."""


class Playhead:
    """Plays a clip in real time, for ever."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._viewers: set[Viewer] = set()

    def add(self, viewer: Viewer) -> None:
        """Show the viewer every access unit from now on."""
        self._viewers.add(viewer)

    def remove(self, viewer: Viewer) -> None:
        """Show the viewer nothing any more; harmless if it was never added."""
        self._viewers.discard(viewer)

    async def run(self) -> None:
        """Play until cancelled."""
        loop = asyncio.get_running_loop()
        epoch = loop.time()
        position, base = 0, 0
        while True:
            if position >= len(self._clip.units):
                if not self._clip.complete:
                    await asyncio.sleep(_POLL_SECONDS)
                    continue
                position, base = 0, base + self._clip.duration
            unit = self._clip.units[position]
            position += 1
            due = epoch + (base + unit.timestamp) / CLOCK_RATE
            lag = loop.time() - due
            if lag > _MAX_LAG_SECONDS:
                epoch, due = epoch + lag, due + lag
            await asyncio.sleep(max(0.0, -lag))
            for viewer in self._snapshot():
                viewer.show(DueUnit(unit, due, self._clip))

    def _snapshot(self) -> Iterator[Viewer]:
        # A viewer may leave while it is being shown a unit.
        return iter(tuple(self._viewers))
