"""From PLAY to the end: the tracks that one client set up, and the tasks that feed them."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from mesh.local.camera.faults import FaultKind
from mesh.local.camera.player import Player
from mesh.local.camera.sender import VideoSender
from mesh.local.camera.tracks import ExtraTrack, send_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from mesh.local.camera.clip import Clip
    from mesh.local.camera.device import Device, Stream
    from mesh.local.camera.frames import Look
    from mesh.local.camera.sinks import Sink

CUTS: Final = frozenset({FaultKind.RESET, FaultKind.OFFLINE})
"""The faults that end a connection."""


def reset(transport: asyncio.BaseTransport) -> None:
    """End a TCP connection with RST."""
    connection = transport.get_extra_info("socket")
    # With linger 0 the kernel sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    cast("asyncio.Transport", transport).abort()


class Delivery:
    """One client's share of a stream.

    Attributes:
        stream: what is delivered.
    """

    def __init__(self, device: Device, stream: Stream, clips: Mapping[Look, Clip]) -> None:
        self.stream = stream
        self._device = device
        self._clips = clips
        self._video: Sink | None = None
        self._extra: list[tuple[ExtraTrack, Sink]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_playing(self) -> bool:
        """Whether PLAY was said."""
        return bool(self._tasks)

    @property
    def track_count(self) -> int:
        """How many tracks are set up."""
        return len(self._extra) + (self._video is not None)

    def set_up(self, track: ExtraTrack | None, sink: Sink) -> None:
        """Send a track, the video if none is named, to a sink."""
        if track is not None:
            self._extra.append((track, sink))
            return
        if self._video is not None:
            self._video.close()
        self._video = sink

    def start(self, cut: Callable[[], None]) -> None:
        """Begin to send.

        Args:
            cut: ends the connection; called when a fault says so.
        """
        play_seconds = self._device.clock.seconds()
        if self._video is not None:
            self._spawn(self._send_video(self._video, play_seconds))
        for track, sink in self._extra:
            self._spawn(send_extra(track, sink, self._device.clock, self._device.random_source))
        self._spawn(self._cut(cut, play_seconds))

    def stop(self) -> None:
        """End all tasks and close all sinks."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        for sink in [*([self._video] if self._video is not None else []), *(sink for _, sink in self._extra)]:
            sink.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name="camera-track"))

    async def _send_video(self, sink: Sink, play_seconds: float) -> None:
        clock, stream = self._device.clock, self.stream
        player = Player(self._clips, lambda: stream.look(clock.moment(play_seconds)), clock, stream.phase)
        sender = VideoSender(
            sink, stream.faults, clock, self._device.random_source, report_seconds=self._device.report_seconds
        )
        while True:
            shown = await player.next()
            sender.send(shown, clock.moment(play_seconds))

    async def _cut(self, cut: Callable[[], None], play_seconds: float) -> None:
        await self._device.cut(self.stream.faults, CUTS, play_seconds)
        cut()
