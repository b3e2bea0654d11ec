"""What alerting counts and times."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerting.domain.alerts import State
from alerting.domain.quality import Load

_LATENCY_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class GlassMetrics:
    """Rights that people took in an emergency."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.broken = Counter(
            "argo_alerting_glass_broken", "Rights that somebody took in an emergency.", ["right"], registry=registry
        )
        self.unreviewed = Gauge(
            "argo_alerting_glass_unreviewed", "Broken glass that nobody looked into.", ["overdue"], registry=registry
        )


class AlarmMetrics:
    """How the people fare with the alarms."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.time_acted = Counter(
            "argo_alerting_time_acted",
            "What time did with alerts: unshelve, escalate, or unanswered where nobody was left to be called.",
            ["act"],
            registry=registry,
        )
        self.pushed = Counter(
            "argo_alerting_webhook_attempts",
            "Dispatches handed to webhooks, by what came of it.",
            ["recipient", "outcome"],
            registry=registry,
        )
        self.rate = Gauge(
            "argo_alerting_alarms_per_operator",
            "Alarms per operator and ten minutes: in the last ten minutes, and on average over a day.",
            ["over"],
            registry=registry,
        )
        self.stale = Gauge(
            "argo_alerting_stale_alarms", "Alarms that are open for longer than a day.", registry=registry
        )
        self.acknowledgement = Gauge(
            "argo_alerting_acknowledgement_seconds",
            "From raising to acknowledgement, over a day.",
            ["quantile"],
            registry=registry,
        )
        self.undelivered = Gauge(
            "argo_alerting_dispatches_undelivered",
            "Dispatches that a webhook has refused so far.",
            ["recipient"],
            registry=registry,
        )

    def show_load(self, load: Load) -> None:
        """Shows what the operators have to bear."""
        self.rate.labels("10m").set(load.current_rate)
        self.rate.labels("1d").set(load.rate)
        self.stale.set(load.stale)
        if load.acknowledgement is not None:
            for quantile, time in zip(("0.5", "0.95"), load.acknowledgement, strict=True):
                self.acknowledgement.labels(quantile).set(time.total_seconds())


class KeepingMetrics:
    """What is kept of observations, and how it is searched."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.searches = Counter(
            "argo_alerting_searches", "Searches, by what became of them.", ["outcome"], registry=registry
        )
        self.late = Counter(
            "argo_alerting_late_observations",
            "Observations that had reached seven days after capture before they came; not kept.",
            registry=registry,
        )
        self.holds_known = Gauge(
            "argo_alerting_holds_known", "1 while the registry says what legal holds keep.", registry=registry
        )


class Metrics:
    """The metrics of this service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "argo_alerting_events", "Events that came, by what became of them.", ["outcome"], registry=registry
        )
        self.rejected = Counter(
            "argo_alerting_rejected", "Messages' parts that were not valid.", ["kind"], registry=registry
        )
        self.redeliveries = Counter(
            "argo_alerting_redeliveries", "Messages that came again.", ["stream"], registry=registry
        )
        self.dropped = Gauge(
            "argo_alerting_dropped_upstream",
            "Items that a detector dropped while the bus was away, as it last said.",
            ["kind", "optic"],
            registry=registry,
        )
        self.latency = Histogram(
            "argo_alerting_capture_to_alert_seconds",
            "From the capture of the deciding picture to the committed alert.",
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.alerts = Gauge("argo_alerting_alerts", "Alerts that are kept, by state.", ["state"], registry=registry)
        self.watches = Gauge("argo_alerting_watches", "Open watches of alerts.", registry=registry)
        self.flow_reports = Counter(
            "argo_alerting_flow_reports", "Reports of counts, by what became of them.", ["outcome"], registry=registry
        )
        self.keeping = KeepingMetrics(registry)
        self.alarm = AlarmMetrics(registry)
        self.erased = Counter("argo_alerting_erased", "What was erased at its time.", ["kind"], registry=registry)
        self.glass = GlassMetrics(registry)

    def show_alerts(self, counts: Mapping[State, int]) -> None:
        """Shows how many alerts are in each state."""
        for state, count in counts.items():
            self.alerts.labels(state.name.lower()).set(count)
