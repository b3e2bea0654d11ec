"""Reads on record: every read of records that are not public is in the audit log before its answer leaves."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import structlog

from mesh.audit import Act, AuditEntry, AuditLog
from mesh.identity import current_identity
from mesh.postgres import Pool
from registry.database import borrowed

log = structlog.get_logger()

T = TypeVar("T")

_LARGEST_BATCH = 256


class ReadLog:
    """Puts reads on record. Those that come at the same time share one transaction, and so one wait for the disk."""

    def __init__(self, pool: Pool, audit: AuditLog) -> None:
        """Takes a pool on the schema of the audit log, and the log."""
        self._pool = pool
        self._audit = audit
        self._waiting: list[tuple[AuditEntry, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._refusing = False

    async def record(self, method: str, what: str) -> None:
        """Puts a read by the current caller on record; it is durable when this returns.

        Args:
            method: that the caller has called, for example ``GetSite``; a read states no other reason.
            what: name of the record or collection.

        Raises:
            Unavailable: it cannot be written; the read must be refused.
        """
        entry = AuditEntry(act=Act.CONSULTATION, who=current_identity().path, why=method, what=what)
        recorded = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, recorded))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="record-reads")
        await recorded

    async def answer(self, method: str, what: str, reading: Coroutine[Any, Any, T]) -> T:
        """What ``reading`` reads, once that it was read is on record; both go on at the same time.

        Raises:
            Unavailable: it cannot be put on record.
            Exception: of ``reading``; an attempt is on record too.
        """
        recording = asyncio.ensure_future(self.record(method, what))
        try:
            return await reading
        finally:
            await recording

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
                problem = await self._write_batch([entry for entry, _ in batch])
                self._tell(problem)
                for _, recorded in batch:
                    if recorded.done():
                        continue
                    if problem is None:
                        recorded.set_result(None)
                    else:
                        recorded.set_exception(problem)
        finally:
            self._writing = None

    def _tell(self, problem: Exception | None) -> None:
        if problem is not None and not self._refusing:
            log.error("reads.refused", error_reason=type(problem).__name__)
        if problem is None and self._refusing:
            log.info("reads.resumed")
        self._refusing = problem is not None

    async def _write_batch(self, entries: list[AuditEntry]) -> Exception | None:
        try:
            if len(entries) == 1:
                await self._audit.append(entries[0])
                return None
            async with borrowed(self._pool) as connection, connection.transaction():
                for entry in entries:
                    await self._audit.append(entry, connection=connection)
        except Exception as error:  # noqa: BLE001 - raised again by everyone who waits for this batch
            return error
        return None


class Reader(Protocol):
    """A servicer whose reads go on record."""

    reads: ReadLog


S = TypeVar("S", bound=Reader)


def audited(handler: Callable[[S, Any, Any], Awaitable[T]]) -> Callable[[S, Any, Any], Awaitable[T]]:
    """Decorates a unary method ``Get…`` or ``List…`` of a servicer: it is answered only once it is on record."""
    method = handler.__name__

    @functools.wraps(handler)
    async def recorded(self: S, request: Any, context: Any) -> T:
        async def reading() -> T:
            return await handler(self, request, context)

        return await self.reads.answer(method, what_is_read(method, request), reading())

    return recorded


def what_is_read(method: str, request: Any) -> str:
    """What a read asks for, in the words of the log: a name, or a collection with its parent and filter."""
    if name := getattr(request, "name", ""):
        return str(name)
    collection = method.removeprefix("List").removeprefix("Watch")
    below = getattr(request, "parent", "")
    asked = "/".join(part for part in (below, collection[:1].lower() + collection[1:]) if part)
    chosen = getattr(request, "filter", "")
    return f"{asked} where {chosen}" if chosen else asked
