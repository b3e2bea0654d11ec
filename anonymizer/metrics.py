"""What the anonymizer counts for Prometheus."""

from __future__ import annotations

import prometheus_client

_LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class AnonymizerMetrics:
    """The metrics of one anonymizer process.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        counter, gauge = prometheus_client.Counter, prometheus_client.Gauge
        self.frames = counter(
            "argo_anonymizer_frames", "Frames masked, by what the mask rests on", ["optic", "basis"], registry=registry
        )
        self.failed_closed = counter(
            "argo_anonymizer_frames_failed_closed",
            "Frames masked whole because the redactor or the encoder failed",
            ["optic"],
            registry=registry,
        )
        self.unmasked_out = counter(
            "argo_anonymizer_unmasked_frames_out",
            "Pictures at the exit without a redaction of their own; they are withheld; anything but 0 is a fault",
            ["optic"],
            registry=registry,
        )
        self.known_fraction = gauge(
            "argo_anonymizer_plate_known_fraction",
            "Share of the picture that the plate knows",
            ["optic"],
            registry=registry,
        )
        self.seconds = prometheus_client.Histogram(
            "argo_anonymizer_frame_seconds", "From request to result", buckets=_LATENCY_BUCKETS, registry=registry
        )
        self._count_viewers(registry)
        self._count_segments(registry)

    def _count_viewers(self, registry: prometheus_client.CollectorRegistry) -> None:
        counter, gauge = prometheus_client.Counter, prometheus_client.Gauge
        self.streams = gauge("argo_anonymizer_streams", "Redact streams open", registry=registry)
        self.viewers = gauge("argo_anonymizer_viewers", "People who watch", ["optic"], registry=registry)
        self.viewers_cut = counter(
            "argo_anonymizer_viewers_cut", "Viewers cut because they were too slow", ["optic"], registry=registry
        )

    def _count_segments(self, registry: prometheus_client.CollectorRegistry) -> None:
        counter, gauge = prometheus_client.Counter, prometheus_client.Gauge
        self.segments = counter(
            "argo_anonymizer_segments", "Recording segments, by outcome", ["optic", "outcome"], registry=registry
        )
        self.segments_waiting = gauge(
            "argo_anonymizer_segments_waiting", "Recording segments not yet in the store", registry=registry
        )
        self.segments_unindexed = gauge(
            "argo_anonymizer_segments_unindexed",
            "Recording segments in the store that the index does not know yet",
            registry=registry,
        )
        self.store_available = gauge(
            "argo_anonymizer_store_available", "1 while the recording store takes segments", registry=registry
        )
        self.segments_held = gauge(
            "argo_anonymizer_segments_held",
            "Recording segments kept beyond their term by a legal hold",
            registry=registry,
        )
        self.holds_known = gauge(
            "argo_anonymizer_holds_known", "1 while the registry says what is held", registry=registry
        )
        self.erasure_failing = gauge(
            "argo_anonymizer_erasure_failing",
            "1 while what is due cannot be erased, or not be counted and reported",
            registry=registry,
        )
        self.segments_erased = counter(
            "argo_anonymizer_segments_erased", "Recording segments erased at their time", registry=registry
        )
