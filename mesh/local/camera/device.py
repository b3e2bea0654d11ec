"""A simulated camera device: its optics' streams, and what all its sessions share."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from mesh.local.camera.clip import Clip
from mesh.local.camera.effects import EFFECTS, Effect
from mesh.local.camera.encoding import Rendition, open_clip
from mesh.local.camera.faults import Fault, FaultKind, Faults, Moment
from mesh.local.camera.frames import PLAIN, Look

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from mesh.local.camera.authentication import Authenticator
    from mesh.local.camera.player import CameraClock

SUB_SUFFIX: Final = "/sub"
"""What the path of a sub stream has added."""

PHASE_TICKS: Final = 65_003
"""By so much each optic is ahead of the one before: 0.72 s, and a prime number, so that no two send in one instant."""


class Library:
    """The clips in memory: each form of each video is read, and coded, once for all devices.

    Use as a context manager: at the end no thread reads any more.
    """

    def __init__(self) -> None:
        self._clips: dict[tuple[tuple[Path, ...], Rendition], asyncio.Task[Clip]] = {}

    async def clip(self, files: tuple[Path, ...], rendition: Rendition) -> Clip:
        """A clip with at least one access unit.

        Raises:
            SourceError: a file is no video.
        """
        key = files, rendition
        if key not in self._clips:
            opening = asyncio.to_thread(open_clip, files, rendition)
            self._clips[key] = asyncio.create_task(opening, name="clip-opener")
        return await asyncio.shield(self._clips[key])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for opened in await asyncio.gather(*self._clips.values(), return_exceptions=True):
            if isinstance(opened, Clip):
                await asyncio.to_thread(opened.close)


@dataclass(frozen=True)
class Stream:
    """What one path plays.

    Attributes:
        path: with its leading slash.
        files: one video; or one per optic, for a mosaic.
        rendition: its form.
        faults: of the optic; of the whole device, for a mosaic.
        phase: 90 kHz ticks by which it is ahead.
    """

    path: str
    files: tuple[Path, ...]
    rendition: Rendition
    faults: Faults
    phase: int = 0

    @property
    def is_mosaic(self) -> bool:
        """Whether it shows several optics."""
        return len(self.files) > 1

    def look(self, moment: Moment) -> Look:
        """How the picture is changed now."""
        active = [fault for fault in self.faults.of_kinds(EFFECTS.keys()) if fault.schedule.is_active(moment)]
        return self._look_of(active[-1]) if active else PLAIN

    def _look_of(self, fault: Fault) -> Look:
        effect = EFFECTS[fault.kind]
        # One tile alone cannot be coded smaller.
        return Look(effect, fault.optic if self.is_mosaic and effect is not Effect.RESIZE else None)

    async def clips(self, library: Library) -> Mapping[Look, Clip]:
        """The plain clip first, and one for every look that the script can bring about.

        Raises:
            SourceError: a file is no video.
        """
        plain = await library.clip(self.files, self.rendition)
        looks = {self._look_of(fault) for fault in self.faults.of_kinds(EFFECTS.keys())}
        clips = {PLAIN: plain}
        for look in sorted((look for look in looks if not look.is_held), key=str):
            changed = dataclasses.replace(self.rendition, codec=plain.codec, look=look)
            clips[look] = await library.clip(self.files, changed)
        return clips


@dataclass(frozen=True)
class Device:
    """What all sessions of a device share.

    Attributes:
        address: the device's IP address, for session descriptions.
        streams: by path.
        faults: of the device, whatever the optic.
        library: where clips come from.
        clock: the camera's time.
        authenticator: None if everyone may look.
        random_source: makes session ids, losses and garbage.
        report_seconds: between sender reports.
    """

    address: str
    streams: Mapping[str, Stream]
    faults: Faults
    library: Library
    clock: CameraClock
    authenticator: Authenticator | None
    random_source: random.Random = field(repr=False)
    report_seconds: float

    @property
    def main_streams(self) -> list[Stream]:
        """The main stream of every optic, in order."""
        return [stream for stream in self.streams.values() if not stream.path.endswith(SUB_SUFFIX)]

    def has(self, kind: FaultKind) -> bool:
        """Whether the whole device misbehaves in this way now."""
        return self.faults.active(kind, self.clock.moment(None)) is not None

    async def cut(self, faults: Faults, kinds: Collection[FaultKind], play_seconds: float | None) -> None:
        """Wait until a fault of some kinds begins; for ever if none will."""
        wait = faults.seconds_until_cut(kinds, self.clock.moment(play_seconds))
        if wait is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(wait)
