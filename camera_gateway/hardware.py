"""Decoding on hardware where this machine has it, and in software wherever that fails: a camera never waits for it."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Final

import av
import av.error
import structlog
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext

from camera_gateway.decoding import VideoDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.frame import VideoFrame

log = structlog.get_logger(__name__)

AUTOMATIC: Final = "auto"
PATIENCE: Final = 10
"""Coded pictures in a row that a hardware decoder may refuse before software takes its place."""


class FallingBackDecoder(VideoDecoder):
    """Decodes with a given context, and in software from the moment that the context fails too often.

    Args:
        context: of the hardware.
        decoder: FFmpeg's name.
        extradata: see `VideoDecoder`.
        on_fallback: called when software takes over; on a pool thread.
    """

    def __init__(
        self, context: VideoCodecContext, decoder: str, extradata: bytes, on_fallback: Callable[[], None]
    ) -> None:
        super().__init__(decoder, extradata)
        self._software = self._context
        self._context = context
        if extradata:
            context.extradata = extradata
        self._on_fallback = on_fallback
        self._refused = 0

    def decode(self, data: bytes | None, timestamp: int | None = None) -> list[VideoFrame]:
        """See `VideoDecoder`."""
        try:
            frames = super().decode(data, timestamp)
        except av.error.FFmpegError:
            self._refused += 1
            if self._refused == PATIENCE and self._context is not self._software:
                self._context = self._software
                self._on_fallback()
            raise
        if frames:
            self._refused = 0
        return frames


class DecoderFactory:
    """Makes the decoders of one process.

    Args:
        device: FFmpeg's name of the kind of device, e.g. "cuda"; "auto": the first that works; empty: software.
    """

    def __init__(self, device: str) -> None:
        self._wanted = bool(device)
        self._candidates = hwdevices_available() if device == AUTOMATIC else [device] if device else []
        self._warned = False
        # Decoders fall back on the threads of the pool.
        self._lock = threading.Lock()

    def __call__(self, decoder: str, extradata: bytes) -> VideoDecoder:
        """A decoder of FFmpeg's name ``decoder``; see `VideoDecoder`."""
        for device in self._candidates:
            if (context := _open(device, decoder)) is not None:
                return FallingBackDecoder(context, decoder, extradata, functools.partial(self._warn, decoder, device))
        if self._wanted:
            self._warn(decoder, ",".join(self._candidates))
        return VideoDecoder(decoder, extradata)

    def _warn(self, decoder: str, device: str) -> None:
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            log.warning("decoder.fell_back", decoder=decoder, device=device)


def _open(device: str, decoder: str) -> VideoCodecContext | None:
    """A context on ``device``; None when the device is not there or does not know the codec."""
    try:
        context = av.CodecContext.create(decoder, "r", hwaccel=HWAccel(device, allow_software_fallback=False))
    except (av.error.FFmpegError, ValueError, NotImplementedError):
        # No such device; a kind that this FFmpeg was built without; a kind that PyAV does not know.
        return None
    # FFmpeg says nothing where the codec has no way onto the device, and decodes in software.
    return context if isinstance(context, VideoCodecContext) and context.is_hwaccel else None
