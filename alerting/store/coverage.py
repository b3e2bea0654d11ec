"""Reading the coverage ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.coverage import (
    NOT_REPORTED,
    UNREPORTED_REASON,
    Frames,
    Gap,
    Impaired,
    OpticCoverage,
    Seconds,
    Step,
    merge_gaps,
)
from alerting.store.database import Database
from alerting.store.queries import QUERIES

TOLERANCE: Final = timedelta(seconds=1)
"""Between the end of one report and the beginning of the next."""


class CoverageStore:
    """The ledger in PostgreSQL. Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reported_optics(self, start: datetime, end: datetime) -> set[str]:
        """The optics with a report that began in ``[start, end)``."""
        return {row["optic"] for row in await self._database.fetch(QUERIES["list_reported_optics"], start, end)}

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
                seconds=_seconds(row),
                gaps=merge_gaps(gaps[row["optic"]]),
                impairments=tuple(row["impairments"]),
            )
            for row in rows
        ]

    async def examine(
        self, start: datetime, end: datetime, optics: Sequence[str], *, known_until: datetime, step: timedelta | None
    ) -> list[OpticCoverage]:
        """All that is known of optics in ``[start, end)``, and what is not; in their order.

        Args:
            start: in UTC.
            end: in UTC.
            optics: each is in the answer, whether anybody reported on it or not.
            known_until: what is later than this may still be reported and is not said to be unknown.
            step: the sums are given for each of these too.
        """
        end_of_known = max(start, min(end, known_until))
        sums = {found.optic: found for found in await self.list_coverage(start, end, optics, limit=len(optics))}
        silent = await self._unreported(start, end_of_known, optics)
        impaired = await self._impaired(start, end, optics)
        steps = await self._steps(start, end, optics, step) if step is not None else {}
        return [
            replace(
                found := sums.get(optic, OpticCoverage(optic)),
                gaps=tuple(sorted((*found.gaps, *silent[optic]), key=lambda gap: gap.start_time)),
                impaired=tuple(impaired.get(optic, ())),
                steps=tuple(steps.get(optic, ())),
            )
            for optic in optics
        ]

    async def _gaps(self, start: datetime, end: datetime, optics: Sequence[str]) -> dict[str, list[Gap]]:
        gaps: dict[str, list[Gap]] = defaultdict(list)
        if optics:
            for row in await self._database.fetch(QUERIES["list_gaps"], start, end, list(optics)):
                gap = Gap(row["start_time"], row["duration"], row["kind"], row["reason"])
                gaps[row["optic"]].append(gap)
        return gaps

    async def _unreported(self, start: datetime, end: datetime, optics: Sequence[str]) -> dict[str, list[Gap]]:
        silent: dict[str, list[Gap]] = defaultdict(list)
        for row in await self._database.fetch(QUERIES["list_unreported"], start, end, list(optics), TOLERANCE):
            silent[row["optic"]].append(Gap(row["since"], row["until"] - row["since"], NOT_REPORTED, UNREPORTED_REASON))
        return silent

    async def _impaired(self, start: datetime, end: datetime, optics: Sequence[str]) -> dict[str, list[Impaired]]:
        impaired: dict[str, list[Impaired]] = defaultdict(list)
        for row in await self._database.fetch(QUERIES["list_impaired"], start, end, list(optics)):
            impaired[row["optic"]].append(Impaired(row["impairment"], row["start_time"], row["duration"]))
        return impaired

    async def _steps(
        self, start: datetime, end: datetime, optics: Sequence[str], step: timedelta
    ) -> dict[str, list[Step]]:
        steps: dict[str, list[Step]] = defaultdict(list)
        seconds = step.total_seconds()
        for row in await self._database.fetch(QUERIES["list_coverage_steps"], start, end, list(optics), seconds):
            steps[row["optic"]].append(Step(start + row["step"] * step, _seconds(row)))
        return steps


def _seconds(row: Any) -> Seconds:
    names = ("received", "analysed", "masked", "held_back", "shed")
    frames = Frames(*(row[f"{name}_frames"] for name in names))
    return Seconds(row["received"], row["analysed"], row["masked"], row["lost"], row["elapsed"], frames)
