"""Approvals and broken glass in PostgreSQL. Every method raises ``Unavailable`` when the database does not answer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from alerting.domain.approvals import Approval, Kind, State
from alerting.domain.break_glass import Case, Review
from alerting.store.database import Database
from mesh.postgres import load_queries

_QUERIES = load_queries("alerting.sql", "approvals.sql")


class ApprovalStore:
    """What people asked for, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, approval_id: str) -> Approval | None:
        """Reads one, or none."""
        return _approval(await self._database.fetchrow(_QUERIES["get_approval"], approval_id))

    async def find(self, author: str, request_id: uuid.UUID | None) -> Approval | None:
        """The one that a request of this author has made, if there is one."""
        if request_id is None:
            return None
        return _approval(await self._database.fetchrow(_QUERIES["find_approval"], author, request_id))

    async def page(
        self, author: str | None, after: tuple[datetime, str] | None, limit: int, now: datetime, *, waiting: bool
    ) -> list[Approval]:
        """A page, newest first.

        Args:
            author: only what this one asked for; none: everybody's.
            after: creation time and id of the last one of the page before; none: from the newest.
            limit: at most so many.
            now: the time, by which an approval waits no longer.
            waiting: only those that wait for a decision.
        """
        time, approval_id = after or (None, "")
        rows = await self._database.fetch(_QUERIES["list_approvals"], author, waiting, now, time, approval_id, limit)
        return [approval for row in rows if (approval := _approval(row)) is not None]

    @asynccontextmanager
    async def changing(self, approval_id: str) -> AsyncIterator[tuple[Any, Approval | None]]:
        """A transaction in which nobody else decides on it: the connection, and the approval or none."""
        async with self._database.transaction() as connection:
            yield connection, _approval(await connection.fetchrow(_QUERIES["lock_approval"], approval_id))

    async def write(self, connection: Any, approval: Approval, request_id: uuid.UUID | None = None) -> None:
        """Writes one in a transaction."""
        await connection.execute(
            _QUERIES["write_approval"], approval.approval_id, approval.kind.value, approval.request,
            approval.fingerprint, approval.author, approval.reason, approval.create_time, approval.expire_time,
            int(approval.state), approval.decider, approval.decision_reason, approval.decide_time, request_id,
        )  # fmt: skip


class BreakGlassStore:
    """Rights that people took."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, person: str | None, after: tuple[datetime, str] | None, limit: int, *, unreviewed: bool
    ) -> list[Case]:
        """A page, newest first; arguments as in ``ApprovalStore.page``."""
        time, case_id = after or (None, "")
        rows = await self._database.fetch(_QUERIES["list_break_glass_cases"], person, unreviewed, time, case_id, limit)
        return [case for row in rows if (case := _case(row)) is not None]

    async def rights_taken(self, paths: Sequence[str], now: datetime) -> frozenset[str]:
        """Rights that somebody has taken under one of its identity paths, and that are in force at ``now``."""
        rows = await self._database.fetch(_QUERIES["list_rights_taken"], list(paths), now)
        return frozenset(row["right_taken"] for row in rows)

    async def has_overdue(self, person: str, now: datetime) -> bool:
        """Whether a case of this person was not looked into in time."""
        return bool((await self._database.fetchrow(_QUERIES["has_overdue_case"], person, now))["exists"])

    async def unreviewed(self) -> list[tuple[str, str, datetime]]:
        """Id, right and due time of every case that nobody has looked into, oldest first."""
        return [tuple(row) for row in await self._database.fetch(_QUERIES["list_unreviewed_cases"])]

    @asynccontextmanager
    async def changing(self, case_id: str) -> AsyncIterator[tuple[Any, Case | None]]:
        """A transaction in which nobody else changes it: the connection, and the case or none."""
        async with self._database.transaction() as connection:
            yield connection, _case(await connection.fetchrow(_QUERIES["lock_break_glass_case"], case_id))

    async def write(self, connection: Any, case: Case) -> None:
        """Writes one in a transaction."""
        said = case.review
        await connection.execute(
            _QUERIES["write_break_glass_case"], case.case_id, case.person, case.right, case.reason,
            case.case_reference, case.create_time, case.expire_time, case.review_due_time,
            said.justified if said else None, said.reviewer if said else "", said.reason if said else "",
            said.time if said else None,
        )  # fmt: skip


def _approval(row: Any) -> Approval | None:
    if row is None:
        return None
    return Approval(
        approval_id=row["approval_id"],
        kind=Kind(row["kind"]),
        request=bytes(row["request"]),
        fingerprint=bytes(row["fingerprint"]),
        author=row["author"],
        reason=row["reason"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        state=State(row["state"]),
        decider=row["decider"],
        decision_reason=row["decision_reason"],
        decide_time=row["decide_time"],
    )


def _case(row: Any) -> Case | None:
    if row is None:
        return None
    said = None
    if row["justified"] is not None:
        said = Review(row["reviewer"], row["justified"], row["review_reason"], row["review_time"])
    return Case(
        case_id=row["case_id"],
        person=row["person"],
        right=row["right_taken"],
        reason=row["reason"],
        case_reference=row["case_reference"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        review_due_time=row["review_due_time"],
        review=said,
    )
