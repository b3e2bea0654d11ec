"""Letting people take a right in an emergency, loudly, and reminding of the reviews."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NoReturn

import structlog

from alerting.domain.break_glass import Case, Review, begin, end, review
from alerting.metrics import Metrics
from alerting.records import Records
from alerting.store.approvals import BreakGlassStore
from mesh.access import Matrix
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from mesh.identity import Identity

log = structlog.get_logger()

_SEES_ALL = ("supervisor", "auditor")


class BreakGlassDesk:
    """Every step is on record in its own transaction; if it cannot be, no right is given."""

    def __init__(
        self,
        store: BreakGlassStore,
        records: Records,
        metrics: Metrics,
        matrix: Matrix,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._records = records
        self._metrics = metrics
        self._matrix = matrix
        self._clock = clock
        self._told: set[str] = set()

    async def take(self, person: Identity, right: str, reason: str, case_reference: str) -> Case:
        """Gives a right, at once.

        Raises:
            InvalidArgument: nobody of this role may take it (``RIGHT_NOT_IN_REACH``).
            FailedPrecondition: an earlier case waits for its review too long (``REVIEW_OVERDUE``).
        """
        rows = self._matrix.rows.values()
        if not any(row.right == right and row.names(person, row.break_glass) for row in rows):
            raise InvalidArgument(
                f"{person.kind} cannot take the right {right or '(none)'}",
                reason="RIGHT_NOT_IN_REACH",
                metadata={"right": right, "kind": person.kind},
            )
        now = self._clock()
        if await self._store.has_overdue(person.path, now):
            raise FailedPrecondition(
                "an earlier case of yours was not looked into in time: have a supervisor do it first",
                reason="REVIEW_OVERDUE",
            )
        case = begin(f"g{uuid.uuid4().hex}", person.path, right, reason, case_reference, now)
        async with self._store.changing(case.case_id) as (connection, _):
            await self._store.write(connection, case)
            await self._records.change(
                connection, person.path, f"{case.name}, right {right}", reason, case=case_reference
            )
        self._metrics.glass.broken.labels(right).inc()
        log.warning("glass.broken", case=case.name, right=right, until=case.expire_time.isoformat())
        return case

    async def end(self, case_id: str, person: str) -> Case:
        """Takes a right back from who gives it back.

        Raises:
            NotFound: there is no such case (``CASE_NOT_FOUND``).
            PermissionDenied: see ``alerting.domain.break_glass.end``.
        """
        async with self._store.changing(case_id) as (connection, case):
            if case is None:
                raise _not_found(case_id)
            ended = end(case, person, self._clock())
            await self._store.write(connection, ended)
            await self._records.change(connection, person, ended.name, "the right is given back")
        log.info("glass.ended", case=ended.name)
        return ended

    async def review(self, case_id: str, reviewer: str, reason: str, *, justified: bool) -> Case:
        """Another person says whether it was right.

        Raises:
            NotFound: there is no such case (``CASE_NOT_FOUND``).
            PermissionDenied, FailedPrecondition: see ``alerting.domain.break_glass.review``.
        """
        async with self._store.changing(case_id) as (connection, case):
            if case is None:
                raise _not_found(case_id)
            reviewed = review(case, Review(reviewer, justified, reason, self._clock()))
            await self._store.write(connection, reviewed)
            await self._records.change(connection, reviewer, reviewed.name, reason, case=reviewed.case_reference)
        log.info("glass.reviewed", case=reviewed.name, justified=justified)
        return reviewed

    async def page(
        self, reader: str, after: tuple[datetime, str] | None, limit: int, *, unreviewed: bool
    ) -> list[Case]:
        """A page of what the reader may see, newest first."""
        person = None if reader.split("/")[-2] in _SEES_ALL else reader
        return await self._store.page(person, after, limit, unreviewed=unreviewed)

    async def rights_taken(self, identities: Sequence[Identity]) -> frozenset[str]:
        """What somebody has taken and still has; for the server's authorisation."""
        return await self._store.rights_taken([identity.path for identity in identities], self._clock())

    async def remind(self, period_seconds: float) -> NoReturn:
        """Counts what waits for its review, and tells of each that is overdue, once; for ever."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                # The next look catches up; that the database is away is told by whoever needs it more.
                log.debug("glass.look_postponed", error_reason=error.reason)
            await asyncio.sleep(period_seconds)

    async def look(self) -> None:
        """Looks once.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._clock()
        waiting = await self._store.unreviewed()
        overdue = [(case_id, right) for case_id, right, due in waiting if due <= now]
        self._metrics.glass.unreviewed.labels("no").set(len(waiting) - len(overdue))
        self._metrics.glass.unreviewed.labels("yes").set(len(overdue))
        for case_id, right in overdue:
            if case_id not in self._told:
                log.error("glass.review_overdue", case=f"breakGlassCases/{case_id}", right=right)
        self._told = {case_id for case_id, _ in overdue}


def _not_found(case_id: str) -> NotFound:
    name = f"breakGlassCases/{case_id}"
    return NotFound(f"{name} does not exist", reason="CASE_NOT_FOUND", metadata={"name": name})
