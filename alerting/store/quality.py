"""The load on the operators and the scorecards of the rules, counted in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any

from alerting.domain.alerts import Assessment
from alerting.domain.quality import FLOOD, Load, Scorecard, Verdicts
from alerting.domain.shifts import operators
from alerting.store.database import Database
from alerting.store.queries import QUERIES as ALARMS
from alerting.store.rows import shift_of
from alerting.store.verdicts import count_verdict
from mesh.errors import NotFound
from mesh.postgres import load_queries

QUERIES = load_queries("alerting.sql", "quality.sql")

Cursor = tuple[datetime, uuid.UUID]
"""Capture time and id of the last event of a page."""


class QualityStore:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, start: datetime, end: datetime) -> Load:
        """What the operators had to bear in ``[start, end)``."""
        people = operators([shift_of(row) for row in await self._database.fetch(ALARMS["list_open_shifts"])])
        row = await self._database.fetchrow(QUERIES["get_load"], start, end, people, FLOOD)
        acknowledgement = row["acknowledgement"]
        return Load(
            start=start,
            end=end,
            operators=people,
            alarms=row["alarms"],
            recent=row["recent"],
            floods=row["floods"],
            events=int(row["events"]),
            verdicts=(row["true_alarms"], row["false_alarms"], row["cannot_tell_alarms"]),
            priorities=(row["high"], row["medium"], row["low"]),
            chattering=row["chattering"],
            stale=row["stale"],
            escalated=row["escalated"],
            acknowledgement=tuple(acknowledgement) if acknowledgement is not None else None,
        )

    async def scorecards(self, since: date, optic: str | None, after: str, limit: int) -> list[Scorecard]:
        """Those of the rules after a name, in the order of names, at most ``limit``."""
        rows = await self._database.fetch(QUERIES["list_scorecards"], since, optic, after, limit)
        found: dict[str, dict[bool, Verdicts]] = {}
        for row in rows:
            names = ("raised", "true_count", "false_count", "cannot_tell_count")
            found.setdefault(row["rule"], {})[row["live"]] = Verdicts(*(row[name] for name in names))
        return [
            Scorecard(rule, verdicts.get(True, Verdicts()), verdicts.get(False, Verdicts()))
            for rule, verdicts in found.items()
        ]

    async def events_of_alert(self, alert_id: str, after: Cursor | None, limit: int) -> list[tuple[Cursor, bytes]]:
        """The events that an alert stands for, newest first, serialised."""
        return await self._events("list_events_of_alert", alert_id, after, limit)

    async def shadow_events(self, rule: str, after: Cursor | None, limit: int) -> list[tuple[Cursor, bytes]]:
        """The events of a rule in shadow, newest first, serialised."""
        return await self._events("list_shadow_events", rule, after, limit)

    async def _events(self, query: str, of: str, after: Cursor | None, limit: int) -> list[tuple[Cursor, bytes]]:
        time, event_id = after or (None, None)
        rows = await self._database.fetch(QUERIES[query], of, time, event_id, limit)
        return [((row["capture_time"], row["event_id"]), row["payload"]) for row in rows]

    async def assess(
        self, event_id: uuid.UUID, assessment: Assessment, record: Callable[[Any, str], Awaitable[None]]
    ) -> None:
        """Keeps what somebody said of a shadow event, in place of what was said before.

        Args:
            event_id: of the event.
            assessment: what it was.
            record: writes the audit entry, given the event's name.

        Raises:
            NotFound: there is no such event of a rule in shadow (``EVENT_NOT_FOUND``).
        """
        name = f"events/{event_id}"
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(QUERIES["get_shadow_event"], event_id)
            if row is None:
                raise NotFound(f"{name} is no event in shadow", reason="EVENT_NOT_FOUND", metadata={"name": name})
            await connection.execute(QUERIES["assess_event"], event_id, int(assessment))
            verdicts = (Assessment(row["assessment"]), assessment)
            await count_verdict(connection, row["rule"], row["capture_time"], verdicts, live=False)
            await record(connection, name)
