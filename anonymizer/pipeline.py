"""One frame after the other through redactor and encoder; whatever fails on the way, the picture stays masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import av
import structlog

from anonymizer.domain.annotation import Annotator, NamedZone
from anonymizer.domain.frame import Frame, MaskedFrame, Size
from anonymizer.domain.privacy import Polygon
from anonymizer.domain.redactor import RedactionRules, Redactor
from anonymizer.domain.verdict import Verdict
from anonymizer.encoder import EncodedPicture, Encoder
from anonymizer.encoders import Encoders

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Redaction:
    """What became of one frame.

    Attributes:
        masked: the masked picture.
        encoded: the same as H.264; None when the encoder failed, so that nothing goes out.
        known_fraction: the share of the picture that the plate knows, 0..1.
        failed_closed: whether the redactor or the encoder failed.
        unmasked: whether the encoder gave out something else than the redaction of this frame; it is withheld.
    """

    masked: MaskedFrame
    encoded: EncodedPicture | None
    known_fraction: float
    failed_closed: bool
    unmasked: bool


class Pipeline:
    """Redactor and encoder of one optic. Runs in a worker thread, one frame at a time.

    Args:
        optic: `devices/{device}/optics/{optic}`, for the log.
        rules: of masking.
        encoders: open the encoder; None: libx264.
    """

    def __init__(self, optic: str, rules: RedactionRules | None = None, encoders: Encoders | None = None) -> None:
        self._encoders = encoders or Encoders()
        self._optic = optic
        self._rules = rules
        self._polygons: tuple[Polygon, ...] = ()
        self._redactor = Redactor(rules)
        self._encoder: Encoder | None = None
        self._is_failing = False
        self._is_withheld = False
        self._boxes = False
        self._zones: tuple[NamedZone, ...] | None = None

    def protect(self, polygons: Sequence[Polygon]) -> None:
        """Sets the static privacy masks from the next frame on.

        Raises:
            ValueError: a polygon is none; those before stay in force.
        """
        self._redactor.protect(polygons)
        self._polygons = tuple(polygons)

    def annotate(self, zones: Sequence[NamedZone] | None) -> None:
        """Writes zones, labels, directions and the basis over the pictures from the next frame on; None: nothing."""
        self._zones = None if zones is None else tuple(zones)
        self._prepare()

    def configure(self, *, mask_whole_picture: bool, boxes: bool) -> None:
        """Sets how the picture is masked from the next frame on, see `Redactor`."""
        self._is_withheld, self._boxes = mask_whole_picture, boxes
        self._prepare()

    def _prepare(self) -> None:
        self._redactor.protect(self._polygons)
        self._redactor.withhold(whole_picture=self._is_withheld)
        self._redactor.boxes = self._boxes
        self._redactor.annotator = None if self._zones is None else Annotator(self._zones)

    def process(self, frame: Frame, verdict: Verdict | None, *, key_frame: bool = False) -> Redaction:
        """Masks and encodes one frame. Raises nothing: whatever fails, the answer is masked."""
        masked, redactor_failed = self._redact(frame, verdict)
        encoded, encoder_failed = self._encode(masked, key_frame=key_frame)
        unmasked = encoded is not None and not (masked.sequence == encoded.sequence == frame.sequence)
        failed = redactor_failed or encoder_failed
        if self._is_failing and not failed:
            log.info("redaction.recovered", optic=self._optic)
        self._is_failing = failed
        return Redaction(masked, None if unmasked else encoded, self._redactor.known_fraction, failed, unmasked)

    def _redact(self, frame: Frame, verdict: Verdict | None) -> tuple[MaskedFrame, bool]:
        try:
            return self._redactor.redact(frame, verdict), False
        except Exception as error:  # noqa: BLE001 - whatever it is, no picture may leave because of it
            self._say("redactor", error)
            # What the redactor knows may be half changed: it learns the street anew.
            self._redactor = Redactor(self._rules)
            self._prepare()
            return MaskedFrame.blank(frame.sequence, frame.captured, frame.planes.size), True

    def _encode(self, masked: MaskedFrame, *, key_frame: bool) -> tuple[EncodedPicture | None, bool]:
        try:
            return self._encoder_for(masked.planes.size).encode(masked, key_frame=key_frame), False
        except (av.FFmpegError, RuntimeError, ValueError) as error:
            failed, self._encoder = self._encoder, None
            if self._encoders.give_up(failed.codec if failed is not None else self._encoders.codec):
                return self._encode(masked, key_frame=True)
            self._say("encoder", error)
            return None, True

    def _encoder_for(self, size: Size) -> Encoder:
        if self._encoder is None or self._encoder.size != size:
            self._encoder = self._encoders.open(size)
        return self._encoder

    def _say(self, part: str, error: Exception) -> None:
        # The text of the error stays out of the log: it may have been made of what was in the picture.
        if not self._is_failing:
            log.error("redaction.failed_closed", optic=self._optic, part=part, error=type(error).__name__)
