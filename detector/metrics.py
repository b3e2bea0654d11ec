"""What the detector counts. Per-frame facts are here and never in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import prometheus_client

if TYPE_CHECKING:
    from detector.model import Model

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class DetectorMetrics:
    """The detector's metrics in one registry."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.frames = prometheus_client.Counter(
            "argo_detector_frames", "Frames answered, by outcome.", ["outcome"], registry=registry
        )
        self.batch_frames = prometheus_client.Histogram(
            "argo_detector_batch_frames", "Frames per batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.inference_seconds = prometheus_client.Histogram(
            "argo_detector_inference_seconds", "From planes to boxes, per batch.", buckets=_SECONDS, registry=registry
        )
        self.verdict_seconds = prometheus_client.Histogram(
            "argo_detector_verdict_seconds",
            "From a frame's arrival to its verdict.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.streams = prometheus_client.Gauge("argo_detector_streams", "Open streams of frames.", registry=registry)
        self.fired = prometheus_client.Counter(
            "argo_detector_rule_firings", "Firings, by kind of rule.", ["topic"], registry=registry
        )
        self.published = prometheus_client.Counter(
            "argo_detector_published", "Batches on the bus, by kind.", ["kind"], registry=registry
        )
        self.dropped = prometheus_client.Counter(
            "argo_detector_dropped", "Items dropped while the bus was away, by kind.", ["kind"], registry=registry
        )
        self.model_changes = prometheus_client.Counter(
            "argo_detector_model_changes",
            "Changes of the model while serving, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._model = prometheus_client.Gauge(
            "argo_detector_model_info", "1 for the model at work.", ["model", "digest", "provider"], registry=registry
        )

    def show_model(self, model: Model) -> None:
        """Say which model is at work from now on."""
        self._model.clear()
        self._model.labels(model.card.name, model.digest, model.provider).set(1)
