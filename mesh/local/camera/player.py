"""Plays clips in real time, for ever, on the camera's one clock: each access unit when it is due."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.local.camera.faults import Moment
from mesh.local.camera.frames import PLAIN, Look
from mesh.local.camera.sdp import CLOCK_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesh.local.camera.clip import AccessUnit, Clip

_POLL_SECONDS: Final = 0.02
"""How often to look whether the clip's background thread got further."""

_MAX_LAG_TICKS: Final = CLOCK_RATE
"""Later than this (a suspended machine, a slow encoder) the film is shown later instead of in a burst."""


class CameraClock:
    """The camera's time, on the event loop's clock, and the wall-clock time that it believes it to be."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.start()

    def start(self) -> None:
        """The camera starts now, whatever it did before."""
        self._epoch = self._loop.time()
        self._wall = time.time()

    def seconds(self) -> float:
        """Since the camera started."""
        return self._loop.time() - self._epoch

    def ticks(self) -> int:
        """Likewise, in 90 kHz ticks."""
        return round(self.seconds() * CLOCK_RATE)

    def wall(self, ticks: int) -> float:
        """Unix time of an instant given in 90 kHz ticks since the camera started."""
        return self._wall + ticks / CLOCK_RATE

    def moment(self, play_seconds: float | None) -> Moment:
        """Now, for a client that said PLAY at this time."""
        now = self.seconds()
        return Moment(now, None if play_seconds is None else now - play_seconds)


@dataclass(frozen=True, slots=True)
class Shown:
    """An access unit that is due now.

    Attributes:
        clip: where it comes from.
        index: which one it is.
        ticks: its time, in 90 kHz ticks since the camera started; exact, and increasing over the loop of the clip.
    """

    clip: Clip
    index: int
    ticks: int

    @property
    def unit(self) -> AccessUnit:
        """The access unit itself."""
        return self.clip.units[self.index]


class _Cursor:
    """A place in a clip, and the clip's place on the camera's clock."""

    def __init__(self, clip: Clip, now: int, phase: int) -> None:
        self.clip = clip
        self.index = clip.key_before(now + phase)
        self._base = now - clip.units[self.index].timestamp

    @property
    def ticks(self) -> int | None:
        """When the access unit is due; None if it is not read yet."""
        if self.index >= len(self.clip.units):
            if not self.clip.complete:
                return None
            self.index, self._base = 0, self._base + self.clip.duration
        return self._base + self.clip.units[self.index].timestamp

    def delay(self, ticks: int) -> None:
        self._base += ticks


class Player:
    """Plays to one client.

    Every client begins with the key frame before the present one, so that it sees a picture at once.

    Args:
        clips: what to play for each look that can come; the plain one is there.
        look: which is to be shown now.
        clock: the camera's.
        phase: 90 kHz ticks by which this optic is ahead of others that play the same file.
    """

    def __init__(self, clips: Mapping[Look, Clip], look: Callable[[], Look], clock: CameraClock, phase: int) -> None:
        self._clips = clips
        self._look = look
        self._clock = clock
        self._phase = phase
        self._shown_look = look()
        self._cursor = self._start(self._shown_look)
        self._frozen: Shown | None = None
        self._last_key: Shown | None = None

    def _start(self, look: Look) -> _Cursor:
        return _Cursor(self._clip(look), self._clock.ticks(), self._phase)

    def _clip(self, look: Look) -> Clip:
        return self._clips[PLAIN if look.is_held else look]

    async def next(self) -> Shown:
        """Wait until the next access unit is due."""
        while True:
            look = self._look()
            if look != self._shown_look:
                self._change(look)
            ticks = self._cursor.ticks
            if ticks is None:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            early = ticks - self._clock.ticks()
            if early < -_MAX_LAG_TICKS:
                self._cursor.delay(-early)
                continue
            # Also when it is late: others must have their turn.
            await asyncio.sleep(max(0, early) / CLOCK_RATE)
            shown = Shown(self._cursor.clip, self._cursor.index, ticks)
            self._cursor.index += 1
            return self._held(shown)

    def _change(self, look: Look) -> None:
        if look.is_held:
            self._frozen = self._last_key
        elif self._clip(look) is not self._cursor.clip:
            self._cursor, self._frozen = self._start(look), None
        self._shown_look = look

    def _held(self, shown: Shown) -> Shown:
        """The picture itself, or while the camera is frozen the last key frame in its place."""
        is_key = shown.unit.is_key
        if self._shown_look.is_held:
            self._frozen = self._frozen or shown
        elif is_key:
            self._frozen = None
        if self._frozen is not None:
            return Shown(self._frozen.clip, self._frozen.index, shown.ticks)
        if is_key:
            self._last_key = shown
        return shown
