"""Counts in PostgreSQL, by the minute. Each report is counted once, however often it comes."""

from __future__ import annotations

from collections.abc import Sequence

from alerting.domain.flows.places import Site
from alerting.domain.flows.reports import FlowReport
from alerting.store.database import Database
from mesh.postgres import load_queries

FLOW_QUERIES = load_queries("alerting.sql", "flows.sql")
"""Every query about counts by its name."""


class FlowStore:
    """Where counts are kept.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write_report(self, report: FlowReport) -> bool:
        """Adds a report to its minute, in one transaction; false when it had been counted before."""
        counted, turned, near_missed = report.counted, report.turned, report.near_missed
        row = await self._database.fetchrow(
            FLOW_QUERIES["write_flow_report"],
            report.optic, report.start_time, report.expire_time, report.minute, report.analysed_seconds,
            report.light_seconds, report.site,
            [item.place for item in counted],
            [item.object_class for item in counted],
            [item.left_to_right for item in counted],
            [item.right_to_left for item in counted],
            [item.measured for item in counted],
            [item.speed_sum for item in counted],
            [item.present_seconds for item in counted],
            [item.maximum_present for item in counted],
            [item.density_seconds for item in counted],
            [item.maximum_density for item in counted],
            [item.from_line for item in turned],
            [item.to_line for item in turned],
            [item.object_class for item in turned],
            [item.count for item in turned],
            [item.zone for item in near_missed],
            [item.time_to_collision for item in near_missed],
            [item.post_encroachment for item in near_missed],
        )  # fmt: skip
        return bool(row["counted"])

    async def register_places(self, places: Sequence[Site]) -> None:
        """Keeps what the registry says of lines and zones."""
        await self._database.execute(
            FLOW_QUERIES["register_flow_places"],
            [item.place for item in places],
            [item.optic for item in places],
            [item.site for item in places],
            [item.display_name for item in places],
            [item.site_display_name for item in places],
            [item.latitude for item in places],
            [item.longitude for item in places],
            [item.controller for item in places],
            [item.law_enforcement for item in places],
        )

    async def describe_places(self, names: Sequence[str]) -> dict[str, Site]:
        """What is known of lines and zones, by their names."""
        rows = await self._database.fetch(FLOW_QUERIES["describe_flow_places"], list(names))
        return {row["place"]: Site(**dict(row)) for row in rows}
