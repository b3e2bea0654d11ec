"""What became of the pictures of each optic, over restarts of the gateway. Pure: time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from argo.alerting.v1 import alert_service_pb2 as alerting

FRAMES: Final = ("frames_received", "frames_analysed", "frames_masked", "frames_unverdicted", "unmasked_frames_out")
TOTALS: Final = (*FRAMES, "tracks", "events")
COVERAGE: Final = ("received_seconds", "analysed_seconds", "masked_seconds", "lost_seconds", "elapsed_seconds")


def percentile(values: Iterable[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing.

    Args:
        values: in any order.
        share: from 0 to 1.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass
class OpticTally:
    """One optic.

    Attributes:
        source: what it shows.
        state: of its session, as the gateway says it; "UNKNOWN" before the gateway says anything.
        detail: why it is not streaming, in words.
        current_tracks: objects followed now.
        latencies: seconds from the capture of a picture to the arrival of its alert here.
    """

    source: str
    state: str = "UNKNOWN"
    detail: str = ""
    current_tracks: int = 0
    latencies: list[float] = field(default_factory=list)
    _alerts: set[str] = field(default_factory=set)
    _before: dict[str, float] = field(default_factory=dict)
    _now: dict[str, float] = field(default_factory=dict)

    def on_session(self, session: gateway.Session) -> None:
        """The gateway says how the optic is."""
        self.state = gateway.Session.State.Name(session.state).removeprefix("STATE_")
        self.detail = session.detail or session.reason
        self.current_tracks = session.counters.current_tracks
        now = {name: float(getattr(session.counters, name)) for name in TOTALS}
        now |= {name: float(getattr(session.coverage, name)) for name in COVERAGE}
        if any(now[name] < self._now.get(name, 0.0) for name in ("frames_received", "elapsed_seconds")):
            # A new session counts from nothing.
            self._before = {name: self.total(name) for name in now}
        self._now = now

    def on_ended(self) -> None:
        """The gateway works on it no longer."""
        self.state, self.detail, self.current_tracks = "UNKNOWN", "no gateway works on it", 0

    def on_alert(self, alert: alerting.Alert, received_at: float) -> None:
        """An alert arrived, for the first time or changed.

        Args:
            alert: the alert.
            received_at: seconds since the epoch.
        """
        if alert.name not in self._alerts:
            self._alerts.add(alert.name)
            self.latencies.append(received_at - alert.capture_time.ToNanoseconds() / 1e9)

    @property
    def alerts(self) -> int:
        """How many different alerts there were."""
        return len(self._alerts)

    def total(self, name: str) -> float:
        """The sum of a counter over all sessions; see TOTALS and COVERAGE."""
        return self._before.get(name, 0.0) + self._now.get(name, 0.0)

    def report(self) -> dict[str, object]:
        """For the JSON report."""
        return {
            "source": self.source,
            "state": self.state,
            "detail": self.detail,
            **{name: int(self.total(name)) for name in TOTALS},
            "coverage": {name: round(self.total(name), 2) for name in COVERAGE},
            "alerts": self.alerts,
            "capture_to_alert_seconds": latency_report(self.latencies),
        }


class Tally:
    """All optics of the demonstration.

    Args:
        sources: what each optic shows, by resource name.
        started_at: seconds since the epoch; alerts from before do not count.
    """

    def __init__(self, sources: Mapping[str, str], started_at: float) -> None:
        self.optics = {optic: OpticTally(source) for optic, source in sources.items()}
        self._started_at = started_at

    def on_sessions(self, update: gateway.WatchSessionsResponse) -> None:
        """Take in what the gateway says."""
        for session in update.sessions:
            if session.optic in self.optics:
                self.optics[session.optic].on_session(session)
        for optic in update.ended:
            if optic in self.optics:
                self.optics[optic].on_ended()

    def on_alert(self, alert: alerting.Alert, received_at: float) -> None:
        """Take in an alert."""
        if alert.optic in self.optics and alert.create_time.ToNanoseconds() / 1e9 >= self._started_at:
            self.optics[alert.optic].on_alert(alert, received_at)

    @property
    def unmasked_frames_out(self) -> int:
        """Frames of all optics that left the anonymizer unmasked; must be 0."""
        return sum(int(optic.total("unmasked_frames_out")) for optic in self.optics.values())

    @property
    def alerts(self) -> int:
        """Alerts of all optics."""
        return sum(optic.alerts for optic in self.optics.values())

    def report(self, *, seconds: float, restarts: Mapping[str, int]) -> dict[str, object]:
        """The JSON report.

        Args:
            seconds: how long it ran.
            restarts: by process.
        """
        return {
            "seconds": round(seconds, 1),
            "unmasked_frames_out": self.unmasked_frames_out,
            "alerts": self.alerts,
            "capture_to_alert_seconds": latency_report(
                [latency for optic in self.optics.values() for latency in optic.latencies]
            ),
            "optics": {name: optic.report() for name, optic in self.optics.items()},
            "restarts": dict(restarts),
        }


def latency_report(latencies: Sequence[float]) -> dict[str, float | int | None]:
    """Count, median and 95th percentile."""
    p50, p95 = percentile(latencies, 0.5), percentile(latencies, 0.95)
    return {
        "count": len(latencies),
        "p50": None if p50 is None else round(p50, 3),
        "p95": None if p95 is None else round(p95, 3),
    }
