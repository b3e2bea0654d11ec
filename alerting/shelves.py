"""Setting aside what optics, rules and places raise, for the gRPC API and the console alike."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from alerting.desk import Schedule
from alerting.domain.shelving import Shelving, shelf_end
from alerting.records import Records
from alerting.store.shelvings import ShelvingStore

log = structlog.get_logger()


class Shelves:
    """Every method raises ``Unavailable`` when the database or the audit log does not answer."""

    def __init__(
        self, store: ShelvingStore, records: Records, schedule: Schedule, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._records = records
        self._schedule = schedule
        self._clock = clock

    async def list_shelvings(self) -> list[Shelving]:
        """Those in force, the one that ends first at the front."""
        return await self._store.list_shelvings(self._clock())

    async def create(
        self, scope: str, duration: timedelta, actor: str, reason: str, request_id: uuid.UUID | None
    ) -> Shelving:
        """Sets aside what a scope raises, and has raised.

        Raises:
            InvalidArgument: for no time, or for too long.
        """
        now = self._clock()
        shelving = Shelving(
            shelving_id=f"s-{request_id or uuid.uuid4()}",
            scope=scope,
            until=shelf_end(now, duration, self._schedule.longest_shelving),
            actor=actor,
            reason=reason,
            create_time=now,
        )
        kept = await self._store.create(shelving, now, self._records.shelving)
        log.info("shelving.created", shelving=kept.name, scope=kept.scope, until=kept.until.isoformat())
        return kept

    async def end(self, shelving_id: str, actor: str, reason: str) -> Shelving:
        """Ends a shelving before its time.

        Raises:
            NotFound: there is none in force (``SHELVING_NOT_FOUND``).
        """
        ended = await self._store.end(
            shelving_id, (actor, reason), self._clock(), self._schedule.patience, self._records.shelving
        )
        log.info("shelving.ended", shelving=ended.name, scope=ended.scope)
        return ended
