"""Which row of the permission matrix stands before each route of the console. A route without one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ALERTS = "/argo.alerting.v1.AlertService"

ACTS: Final = ("acknowledge", "verify", "dispatch", "close", "shelve", "unshelve", "hand-over")
"""What the page does with an alert."""

DUTY_ACTS: Final = ("open", "join", "hand-over", "close")
"""What the page does with a shift."""


API: Final = "/api"
"""Below it a method of alerting's contracts, ``/{package.Service}/{Method}``; see ``alerting.console.bridge``."""


def _camel(act: str) -> str:
    return "".join(word.capitalize() for word in act.split("-"))


ROUTES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("GET", "/api/optics"): "/argo.alerting.v1.CoverageService/ListCoverage",
        ("GET", "/api/alerts/stream"): f"{_ALERTS}/WatchAlerts",
        **{("POST", f"/api/alerts/{{alert}}/{act}"): f"{_ALERTS}/{_camel(act)}Alert" for act in ACTS},
        ("GET", "/api/duty"): "/argo.alerting.v1.AlarmQualityService/GetAlarmPerformance",
        **{("POST", f"/api/duty/{act}"): f"/argo.alerting.v1.ShiftService/{_camel(act)}Shift" for act in DUTY_ACTS},
        ("GET", "/api/alerts/{alert}/clip"): "/argo.anonymizer.v1.RecordingService/ReadAlarmClip",
        ("GET", "/api/recordings/clip"): "/argo.anonymizer.v1.RecordingService/ReadClip",
        ("POST", "/api/viewings"): "/argo.anonymizer.v1.LiveViewService/CreateViewing",
    }
)
"""The method whose row applies, by HTTP method and path; alerting calls it, or does the same, for the person."""

SIGNED_IN: Final = frozenset({("GET", "/"), ("GET", "/api/session"), ("POST", "/api/logout")})
"""Routes that tell nobody anything but who it is itself: whoever is signed in may."""


def row_of(http_method: str, path: str) -> tuple[str, bool]:
    """The method whose row stands before a route, and whether alerting calls it, or does the same, for the person.

    A route that is of no method has no row: it is refused.
    """
    bridged = path.removeprefix(API)
    if http_method == "POST" and bridged.startswith("/argo."):
        return bridged, False
    return ROUTES.get((http_method, path), f"{http_method} {path}"), True
