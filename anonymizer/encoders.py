"""Which encoder: the one that was asked for where it really works, else libx264; said once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import av
import structlog

from anonymizer.domain.frame import MaskedFrame, Size
from anonymizer.encoder import CODEC_OPTIONS, SOFTWARE_CODEC, Encoder

log = structlog.get_logger(__name__)

AUTO: Final = "auto"
_PROBE: Final = Size(256, 256)
"""Hardware encoders refuse pictures that are much smaller."""
_FAILURES: Final = (av.FFmpegError, RuntimeError, ValueError)


class Encoders:
    """Opens encoders.

    Args:
        wanted: one of `CODEC_OPTIONS`, or "auto" for the first in hardware that works.
    """

    def __init__(self, wanted: str = SOFTWARE_CODEC) -> None:
        self._lock = threading.Lock()
        self.codec = SOFTWARE_CODEC
        if wanted != SOFTWARE_CODEC:
            self._probe([name for name in CODEC_OPTIONS if name != SOFTWARE_CODEC] if wanted == AUTO else [wanted])
            if self.codec == SOFTWARE_CODEC and wanted != AUTO:
                log.warning("encoder.fell_back", wanted=wanted, used=SOFTWARE_CODEC)

    def open(self, size: Size) -> Encoder:
        """An encoder for pictures of a size."""
        return Encoder(size, codec=self.codec)

    def give_up(self, codec: str) -> bool:
        """Takes an encoder in hardware out of use after a failure; whether there is another one to go on with."""
        with self._lock:
            if codec == SOFTWARE_CODEC:
                return False
            if self.codec == codec:
                self.codec = SOFTWARE_CODEC
                log.warning("encoder.fell_back", wanted=codec, used=SOFTWARE_CODEC)
            return True

    def _probe(self, names: Sequence[str]) -> None:
        """Takes the first that really encodes: that a build names an encoder says nothing of the device."""
        for name in names:
            try:
                picture = Encoder(_PROBE, codec=name).encode(MaskedFrame.blank(0, 0.0, _PROBE))
            except _FAILURES:
                continue
            if picture.key_frame:
                self.codec = name
                return
