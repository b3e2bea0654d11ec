"""What the gateway counts for Prometheus."""

from __future__ import annotations

import prometheus_client

from camera_gateway.domain.liveness import State
from camera_gateway.domain.sight import Mode

_LATENCY_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0)


class GatewayMetrics:
    """The metrics of one gateway process.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(name, text, labels, registry=registry)

        def latency(name: str, text: str) -> prometheus_client.Histogram:
            return prometheus_client.Histogram(name, text, buckets=_LATENCY_BUCKETS, registry=registry)

        self.received = counter("argo_gateway_frames_received", "Frames decoded", "optic")
        self.dropped = counter(
            "argo_gateway_frames_dropped", "Frames that went no further, by reason", "optic", "reason"
        )
        self.packets_lost = counter("argo_gateway_packets_lost", "Packets that were lost on the way", "optic")
        self.left_out = counter(
            "argo_gateway_tracks_left_out", "Tracks offered by cameras and not taken, by kind", "kind"
        )
        self.sent = counter("argo_gateway_frames_sent", "Frames offered to the detector", "optic")
        self.unverdicted = counter(
            "argo_gateway_frames_unverdicted", "Frames without a look, by reason", "optic", "reason"
        )
        self.masked = counter("argo_gateway_frames_masked", "Frames that the anonymizer masked", "optic")
        self.unmasked_out = counter("argo_gateway_unmasked_frames_out", "Anything but 0 is a breach", "optic")
        self.health_reports = counter("argo_gateway_health_reports", "Coverage reports, by outcome", "outcome")
        self.verdict_seconds = latency("argo_gateway_verdict_seconds", "From a frame's arrival to its verdict")
        self.masked_seconds = latency("argo_gateway_masked_seconds", "From a frame's arrival to its masked picture")
        self.state = prometheus_client.Gauge(
            "argo_gateway_optic_state", "1 for the state that an optic is in", ["optic", "state"], registry=registry
        )
        self.impaired = prometheus_client.Gauge(
            "argo_gateway_optic_impaired",
            "1 while that is wrong with an optic's picture",
            ["optic", "impairment"],
            registry=registry,
        )
        self.analysis_budget = prometheus_client.Gauge(
            "argo_gateway_analysis_budget", "Frames per second that may be analysed; +Inf: enough", registry=registry
        )

    def set_impaired(self, optic: str, mode: Mode, *, present: bool) -> None:
        """Show whether ``mode`` is wrong with the optic's picture."""
        self.impaired.labels(optic, mode.value).set(present)

    def set_state(self, optic: str, state: State) -> None:
        """Show ``state`` as the optic's."""
        for each in State:
            self.state.labels(optic, each.value).set(each is state)

    def forget(self, optic: str) -> None:
        """An optic is no longer worked on: its state is no longer shown. Counters stay, as counters must."""
        for each in State:
            self.state.remove(optic, each.value)
        for mode in Mode:
            # One that was never shown is not there to be removed.
            self.impaired.labels(optic, mode.value)
            self.impaired.remove(optic, mode.value)
