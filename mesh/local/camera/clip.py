"""A video as coded access units in memory, ready to be played for ever, to anybody, at almost no cost."""

from __future__ import annotations

import bisect
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import av
import structlog

from mesh.local.camera.payload import payloads_of
from mesh.local.camera.sdp import CLOCK_RATE, Codec
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from av.container import InputContainer

log = structlog.get_logger(__name__)

ClipCodec = Codec | Literal["mjpeg"]

MAX_CLIP_BYTES: Final = 256 * 1024 * 1024
"""A longer file is cut here: its loop begins again earlier. About half an hour of 720p."""

MAX_LEAD_SECONDS: Final = 60.0
"""How far reading runs ahead of playing."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture.

    Attributes:
        data: Annex B byte stream, a key frame with its parameter sets; or a JPEG file.
        timestamp: 90 kHz ticks since the clip's first picture.
        is_key: whether decoding can start here.
    """

    data: bytes
    timestamp: int
    is_key: bool


class Clip:
    """Access units that a background thread is still adding to, or has finished adding to.

    Attributes:
        codec: how the pictures are coded.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        units: the access units so far, in presentation order; no reordering is needed to decode them. The first is a
            key frame.
    """

    def __init__(self, codec: ClipCodec, *, width: int, height: int, frame_ticks: int) -> None:
        self.codec: ClipCodec = codec
        self.width = width
        self.height = height
        self.units: list[AccessUnit] = []
        self._frame_ticks = frame_ticks
        self._payloads: dict[int, tuple[bytes, ...]] = {}
        self._first = threading.Event()
        self._all = threading.Event()
        self._stopping = threading.Event()
        self._reader: threading.Thread | None = None

    @property
    def duration(self) -> int:
        """90 kHz ticks from the first picture to the moment when the loop shows it again."""
        return self.units[-1].timestamp + self._frame_ticks

    @property
    def complete(self) -> bool:
        """Whether ``units`` and ``duration`` are final."""
        return self._all.is_set()

    def payloads(self, index: int) -> tuple[bytes, ...]:
        """The RTP payloads of an access unit; made once for all who watch."""
        found = self._payloads.get(index)
        if found is None:
            assert self.codec != "mjpeg"
            found = self._payloads[index] = payloads_of(self.codec, self.units[index].data)
        return found

    def key_before(self, ticks: int) -> int:
        """Index of the last key frame at or before a time; the loop is followed if the clip is complete."""
        position = ticks % self.duration if self.complete else ticks
        index = max(0, bisect.bisect_right(self.units, position, key=lambda unit: unit.timestamp) - 1)
        while not self.units[index].is_key:
            index -= 1
        return index

    def read(self, units: Iterable[AccessUnit]) -> None:
        """Begin to add units in a background thread."""
        self._reader = threading.Thread(target=self.extend, args=(units,), name="clip-reader", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Stop reading and wait for the thread's end: coders do not survive the interpreter's."""
        self._stopping.set()
        if self._reader is not None:
            self._reader.join()

    def extend(self, units: Iterable[AccessUnit]) -> None:
        """Add all units; in the end, also after an error, the clip is complete.

        Long files are read little faster than they are played: the camera shares its machine with the mesh it feeds.
        """
        size, started = 0, time.monotonic()
        try:
            for unit in units:
                lead = unit.timestamp / CLOCK_RATE - (time.monotonic() - started)
                if self._stopping.wait(max(0.0, lead - MAX_LEAD_SECONDS)):
                    break
                self.units.append(unit)
                self._first.set()
                size += len(unit.data)
                if size > MAX_CLIP_BYTES:
                    break
        except (av.FFmpegError, ValueError) as error:
            log.warning("simulator.clip_cut", pictures=len(self.units), error=str(error))
        finally:
            self._first.set()
            self._all.set()

    def wait_for_first(self) -> bool:
        """Wait until there is a first access unit; False if there will be none."""
        self._first.wait()
        return bool(self.units)

    def wait_for_all(self) -> None:
        """Wait until the clip is complete."""
        self._all.wait()


def open_video(path: Path) -> InputContainer:
    """Open a file that has a video stream.

    Raises:
        SourceError: no such file, not a file, not readable, not a video.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file", "Check the path of the video.")
    try:
        container = av.open(str(path))
    except PermissionError:
        raise SourceError(f"{path} may not be read", "Check its permissions.") from None
    except (av.FFmpegError, OSError, ValueError):
        raise SourceError(f"{path} is not a video", "Give a file such as .mp4, .avi or .mkv.") from None
    if not container.streams.video or container.streams.video[0].width == 0:
        container.close()
        raise SourceError(f"{path} holds no video", "Give a file such as .mp4, .avi or .mkv.")
    return container
