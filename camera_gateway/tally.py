"""What came of the frames of one optic: counters, coverage, metrics. It hears the source and the road."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Final

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from camera_gateway.domain.coverage import CoverageLedger, Frames, Stage
from camera_gateway.domain.sharing import Load
from camera_gateway.domain.tracks import TrackCount

if TYPE_CHECKING:
    from prometheus_client import Counter

    from argo.detector.v1 import detection_service_pb2 as detection
    from camera_gateway.metrics import GatewayMetrics


LATE_SECONDS: Final = 0.5
"""From a picture's arrival to here: more, and the decoders or the event loop are behind."""

SUPERSEDED: Final = "superseded"
LOST: Final = "decoder_behind"

STRAIN: Final = frozenset({"late", "detector_busy", "not_analysed_overload", "anonymizer_busy", LOST, SUPERSEDED})
"""What becomes of pictures when more come than can be worked on. A peer that is away is another matter."""

HELD_BACK: Final = {"still": Frames.HELD_BACK, "shed": Frames.SHED}


@dataclasses.dataclass(slots=True)
class Counts:
    """Frame counts since the session began; the names are those of the contract."""

    frames_received: int = 0
    frames_sent: int = 0
    frames_analysed: int = 0
    frames_masked: int = 0
    frames_unverdicted: int = 0
    unmasked_frames_out: int = 0
    frames_superseded: int = 0
    frames_held_back: int = 0
    frames_broken: int = 0
    events: int = 0


class Tally:
    """Counts for one optic."""

    def __init__(self, optic: str, metrics: GatewayMetrics) -> None:
        self._optic = optic
        self._metrics = metrics
        self._received = metrics.received.labels(optic)
        self._sent, self._masked = metrics.sent.labels(optic), metrics.masked.labels(optic)
        self._unmasked_out = metrics.unmasked_out.labels(optic)
        self._dropped: dict[str, Counter] = {}
        self._unverdicted: dict[str, Counter] = {}
        self._stream_unmasked = 0
        self._offered = self._strained = self._came = 0
        self._behind = False
        self.counts = Counts()
        self.tracks = TrackCount()
        self.coverage = CoverageLedger(time.time())
        self.width = 0
        self.height = 0

    def on_received(self, pictures: int, width: int, height: int) -> None:
        """Pictures were decoded."""
        self.counts.frames_received += pictures
        self.width, self.height = width, height
        self._came += pictures
        self._received.inc(pictures)
        self.coverage.count(Frames.RECEIVED, pictures)
        self.coverage.on_frame(Stage.RECEIVED, time.time())
        if self._behind:
            self._behind = False
            self._explain_all("gap")

    def on_skipped(self, units: int) -> None:
        """Coded pictures came that nobody needs decoded: the optic is not blind."""
        self._came += units
        self._drop("not_needed", units)
        self.coverage.on_frame(Stage.RECEIVED, time.time())

    def on_broken(self, units: int) -> None:
        """Coded pictures did not decode."""
        self.counts.frames_broken += units
        self._drop("broken", units)

    def on_dropped(self, reason: str, count: int) -> None:
        """Pictures were left out."""
        if reason in HELD_BACK:
            self.counts.frames_held_back += count if reason == "still" else 0
            self.coverage.count(HELD_BACK[reason], count)
            self.coverage.explain(Stage.ANALYSED, reason)
        elif reason == SUPERSEDED:
            self._offered += count
            self.counts.frames_superseded += count
        elif reason == LOST:
            # Nobody saw it: until a picture comes, that is the reason of the gap.
            self._explain_all(reason)
            self._behind = True
        self._drop(reason, count)

    def on_offered(self, waited: float) -> None:
        """A picture is to be analysed; it ``waited`` so many seconds for the decoders and the event loop."""
        self._offered += 1
        self._strained += waited > LATE_SECONDS

    def take_load(self) -> tuple[Load, int]:
        """What became of the pictures since the last call, and how many came."""
        load, came = Load(self._offered, self._strained), self._came
        self._offered = self._strained = self._came = 0
        return load, came

    def on_sent(self) -> None:
        """See `RoadListener`."""
        self.counts.frames_sent += 1
        self._sent.inc()

    def on_superseded(self) -> None:
        """See `RoadListener`."""
        self.counts.frames_superseded += 1
        self._drop(SUPERSEDED, 1)

    def on_verdict(self, verdict: detection.Verdict, seconds: float) -> None:
        """See `RoadListener`."""
        self.counts.frames_analysed += 1
        self.coverage.count(Frames.ANALYSED, 1)
        self.counts.events += len(verdict.fired_rules)
        self.tracks.on_verdict(found.track for found in verdict.detections)
        self._metrics.verdict_seconds.observe(seconds)
        self.coverage.on_frame(Stage.ANALYSED, time.time())

    def on_no_verdict(self, reason: str) -> None:
        """See `RoadListener`."""
        self._strained += reason in STRAIN
        if (unverdicted := self._unverdicted.get(reason)) is None:
            unverdicted = self._unverdicted[reason] = self._metrics.unverdicted.labels(self._optic, reason)
        unverdicted.inc()
        self.coverage.explain(Stage.ANALYSED, reason)

    def on_masked(self, result: redaction.RedactResponse, seconds: float) -> None:
        """See `RoadListener`."""
        self.counts.frames_masked += 1
        self.coverage.count(Frames.MASKED, 1)
        self.counts.frames_unverdicted += result.basis != redaction.RedactResponse.BASIS_VERDICT
        # The anonymizer counts from the start of its stream; a smaller number is a new stream.
        new = result.unmasked_frames_out - self._stream_unmasked
        self._stream_unmasked = result.unmasked_frames_out
        breach = new if new >= 0 else result.unmasked_frames_out
        self.counts.unmasked_frames_out += breach
        self._unmasked_out.inc(breach)
        self._masked.inc()
        self._metrics.masked_seconds.observe(seconds)
        self.coverage.on_frame(Stage.MASKED, time.time())

    def on_not_masked(self, reason: str) -> None:
        """See `RoadListener`."""
        self.coverage.explain(Stage.MASKED, reason)
        self._drop(reason, 1)

    def _explain_all(self, reason: str) -> None:
        for stage in Stage:
            self.coverage.explain(stage, reason)

    def _drop(self, reason: str, count: int) -> None:
        self._strained += count if reason in STRAIN else 0
        if (dropped := self._dropped.get(reason)) is None:
            dropped = self._dropped[reason] = self._metrics.dropped.labels(self._optic, reason)
        dropped.inc(count)
