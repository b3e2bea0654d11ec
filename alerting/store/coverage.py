"""Reading the coverage ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from alerting.domain.coverage import Gap, OpticCoverage, Seconds, merge_gaps
from alerting.store.database import Database
from alerting.store.queries import QUERIES


class CoverageStore:
    """The ledger in PostgreSQL. Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_coverage(
        self, start: datetime, end: datetime, optics: Sequence[str] = (), *, after: str = "", limit: int
    ) -> list[OpticCoverage]:
        """Sums the reports that began in ``[start, end)`` per optic, in the order of optics.

        Args:
            start: in UTC.
            end: in UTC.
            optics: which; none means all that reported.
            after: only optics after this one.
            limit: at most so many.
        """
        rows = await self._database.fetch(QUERIES["list_coverage"], start, end, list(optics), after, limit)
        gaps = await self._gaps(start, end, [row["optic"] for row in rows])
        return [
            OpticCoverage(
                optic=row["optic"],
                seconds=Seconds(row["received"], row["analysed"], row["masked"], row["lost"], row["elapsed"]),
                gaps=merge_gaps(gaps[row["optic"]]),
                impairments=tuple(row["impairments"]),
            )
            for row in rows
        ]

    async def _gaps(self, start: datetime, end: datetime, optics: Sequence[str]) -> dict[str, list[Gap]]:
        gaps: dict[str, list[Gap]] = defaultdict(list)
        if optics:
            for row in await self._database.fetch(QUERIES["list_gaps"], start, end, list(optics)):
                gap = Gap(row["start_time"], row["duration"], row["kind"], row["reason"])
                gaps[row["optic"]].append(gap)
        return gaps
