from __future__ import annotations

from mesh.postgres import load_queries

QUERIES = {
    **load_queries("alerting.sql"),
    **load_queries("alerting.sql", "alarms.sql"),
    **load_queries("alerting.sql", "dispatches.sql"),
}
"""Every query of this service by its name."""

CHANGES_CHANNEL = "alerting_changes"
"""The NOTIFY channel on which replicas hear that alerts have changed."""
