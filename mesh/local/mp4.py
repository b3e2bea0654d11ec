"""Writes H.264 access units into an MP4 that appears under its name only when it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import av

from mesh.local.outputs import cannot_write, check_writable

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path
    from types import TracebackType

    from argo.type.v1 import media_pb2


class Mp4Writer:
    """An MP4 with one video track and no metadata. Use as a context manager.

    Args:
        path: where it is to be; what is there is replaced when the new file is whole, and only then.
        width: in pixels.
        height: in pixels.
        time_base: seconds per tick of the timestamps.

    Raises:
        LocalError: it cannot be written there.
    """

    def __init__(self, path: Path, width: int, height: int, *, time_base: Fraction) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._time_base = time_base
        self._waiting: av.Packet[Any] | None = None
        self._duration = 1
        check_writable(path)
        # bitexact leaves out the name and version of the program that wrote it; without the movie's time scale, the
        # time of the first frame would be rounded to milliseconds.
        options = {"fflags": "bitexact", "movie_timescale": str(time_base.denominator)}
        try:
            self._container = av.open(str(self._part), "w", format="mp4", options=options)
        except (av.FFmpegError, OSError) as error:
            raise cannot_write(path, _reason(error)) from None
        self._stream = self._container.add_mux_stream("h264", width=width, height=height, time_base=time_base)

    def write(self, unit: media_pb2.AccessUnit, timestamp: int) -> None:
        """Append one access unit.

        Args:
            unit: H.264 in Annex B form; the first carries the parameter sets.
            timestamp: presentation time in ticks; one that does not grow is moved to the tick after the one before.

        Raises:
            LocalError: it cannot be written, for example because the disk is full.
        """
        packet: av.Packet[Any] = av.Packet(unit.data)
        packet.pts = packet.dts = self._after(timestamp)
        packet.time_base = self._time_base
        packet.is_keyframe = unit.key_frame
        packet.stream = self._stream
        waiting, self._waiting = self._waiting, packet
        if waiting is not None and waiting.pts is not None:
            # How long a frame is shown is known when the next one comes; players drop a last frame of no duration.
            self._duration = packet.pts - waiting.pts
            self._mux(waiting)

    def _after(self, timestamp: int) -> int:
        if self._waiting is None or self._waiting.pts is None:
            return timestamp
        return max(timestamp, self._waiting.pts + 1)

    def _mux(self, packet: av.Packet[Any]) -> None:
        packet.duration = self._duration
        try:
            self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise cannot_write(self._path, _reason(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._waiting is not None:
                self._mux(self._waiting)
            self._container.close()
            if kind is None:
                self._part.replace(self._path)
        except (av.FFmpegError, OSError) as failure:
            if kind is None:
                raise cannot_write(self._path, _reason(failure)) from None
        finally:
            self._part.unlink(missing_ok=True)


def _reason(error: OSError | av.FFmpegError) -> str:
    return error.strerror or str(error)
