"""The log in PostgreSQL: appending, reading the head, walking the chain."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import asyncpg

from mesh.audit.chain import Anchor, ChainWalk, Finding
from mesh.audit.entries import GENESIS, AuditEntry, AuditRecord, check_entry
from mesh.errors import StartupError, Unavailable
from mesh.identity import current_grant
from mesh.postgres import UNAVAILABLE, Phase, Pool, load_queries
from mesh.postgres import migrate as _migrate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_PACKAGE = "mesh.sql"
_QUERIES = load_queries(_PACKAGE, "audit.sql")
_ROWS_AT_ONCE = 1000
"""Some ten milliseconds of hashing between two waits: whoever verifies inside a service lets it live."""


async def migrate(pool: Pool, *, phase: Phase) -> list[str]:
    """Brings the table of the log into the pool's schema, see ``mesh.postgres.migrate``.

    Raises:
        StartupError: the log belongs to another role, which has to migrate it.
    """
    try:
        return await _migrate(pool, service="audit", package=_PACKAGE, phase=phase)
    except asyncpg.InsufficientPrivilegeError as error:
        raise StartupError(
            f"the audit log is not ours to migrate ({error})",
            "run `argo audit protect` as the database's administrator: it migrates the log, too",
        ) from None


@dataclass(frozen=True)
class Examination:
    """What a walk through the whole chain has shown.

    Attributes:
        head: the newest entry up to which the chain holds.
        finding: the first fault; None: the log is whole.
    """

    head: Anchor
    finding: Finding | None


class AuditLog:
    """Writes and reads the log."""

    def __init__(self, pool: Pool) -> None:
        """Takes a pool on the schema that holds the log."""
        self.pool = pool

    async def append(self, entry: AuditEntry, *, connection: Any = None) -> AuditRecord:
        """Puts an act on record, in one round trip. Hand the data over only after this has returned.

        Args:
            entry: the act.
            connection: inside a transaction, to record an act together with what it changes; a transaction of its own
                if none is given. Appends wait for each other until their transactions end.

        Raises:
            InvalidArgument: reason, actor or object are missing.
            Unavailable: it cannot be written; what was asked for must be refused.
        """
        check_entry(entry)
        entry = _with_grant(entry)
        try:
            if connection is not None:
                return await _append(connection, entry)
            async with self.pool.acquire(timeout=5) as own:
                return await _append(own, entry)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            raise Unavailable("the audit log cannot be written", reason="AUDIT_UNAVAILABLE") from error

    async def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the newest entry, ``(0, GENESIS)`` of an empty log.

        Kept elsewhere, it is the anchor that shows a later cut.

        Raises:
            Unavailable: the log cannot be read.
        """
        async with self._reading() as connection:
            row = await connection.fetchrow(_QUERIES["get_head"])
            return (row["sequence"], row["hash"]) if row is not None else (0, GENESIS)

    async def hash_of(self, sequence: int) -> bytes | None:
        """The hash of an entry, 32 bytes, as it is stored; none: there is no such entry.

        Raises:
            Unavailable: the log cannot be read.
        """
        async with self._reading() as connection:
            value = await connection.fetchval(_QUERIES["get_hash"], sequence)
            return bytes(value) if value is not None else None

    async def verify(self, *, anchor: tuple[int, bytes] | None = None) -> int | None:
        """Walks the whole chain.

        Args:
            anchor: an earlier ``head``, kept elsewhere; the log must still hold it.

        Returns:
            The first sequence number that is changed, missing or out of place, none when the log is whole.

        Raises:
            Unavailable: the log cannot be read.
        """
        finding = (await self.examine(anchor=Anchor(*anchor) if anchor is not None else None)).finding
        return finding.sequence if finding is not None else None

    async def examine(self, *, anchor: Anchor | None = None) -> Examination:
        """Walks the whole chain, and says what is wrong where.

        Raises:
            Unavailable: the log cannot be read.
        """
        walk = ChainWalk(anchor)
        async with aclosing(self.batches()) as batches:
            async for rows in batches:
                if walk.take(rows):
                    break
        return Examination(walk.head, walk.finish())

    async def batches(self) -> AsyncGenerator[list[Any], None]:
        """All rows in the order of their numbers, as of one instant, some at a time.

        Raises:
            Unavailable: the log cannot be read.
        """
        async with self._reading() as connection:
            cursor = await connection.cursor(_QUERIES["list_entries"])
            while rows := await cursor.fetch(_ROWS_AT_ONCE):
                yield rows

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        try:
            async with self.pool.acquire(timeout=5) as connection, connection.transaction(readonly=True):
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("the audit log cannot be read", reason="AUDIT_UNAVAILABLE") from error


def _with_grant(entry: AuditEntry) -> AuditEntry:
    """The entry with what is known beside the name of who acts: token, machine, an authority's person, broken glass."""
    grant = current_grant()
    said = [
        f"person {grant.person}" if grant.person and not entry.who.endswith(grant.person) else "",
        f"token {grant.token_id} by way of {grant.machine}" if grant.token_id else "",
        f"right {', '.join(sorted(grant.taken))} by breaking the glass" if grant.taken else "",
    ]
    said = [part for part in said if part]
    return replace(entry, why=f"{entry.why} ({'; '.join(said)})") if said else entry


async def verify(pool: Pool) -> int | None:
    """See ``AuditLog.verify``."""
    return await AuditLog(pool).verify()


async def _append(connection: Any, entry: AuditEntry) -> AuditRecord:
    row = await connection.fetchrow(
        _QUERIES["append_entry"], entry.act.value, entry.who, entry.why, entry.what, entry.to_whom, entry.case
    )
    return AuditRecord(entry, row["sequence"], row["recorded_at"], row["previous_hash"], row["hash"])
