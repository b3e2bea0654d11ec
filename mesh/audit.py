"""The audit log: append-only and hash-chained, in the PostgreSQL schema of the service that owns the act.

It holds the seven acts that D.Lgs. 51/2018, art. 21 (LED, art. 25) wants on record: collection, alteration,
consultation, disclosure, transfer, combination and erasure, with the reason, date and time and, as far as possible, who
did it and who received the data.

Entry ``n`` carries the SHA-256 of the canonical form of its own fields and of the hash of entry ``n - 1``. A change of
any row shows in ``verify``; a cut of the newest rows shows when the head (``AuditLog.head``) is also kept elsewhere.
"""

from __future__ import annotations

import enum
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from mesh.errors import FieldViolation, InvalidArgument, Unavailable
from mesh.postgres import UNAVAILABLE, Phase, Pool, load_queries
from mesh.postgres import migrate as _migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GENESIS = bytes(32)
"""The hash before the first entry."""

_PACKAGE = "mesh.sql"
_QUERIES = load_queries(_PACKAGE, "audit.sql")


class Act(enum.Enum):
    """What was done with personal data, D.Lgs. 51/2018, art. 21, paragraph 1."""

    COLLECTION = "collection"  # raccolta
    ALTERATION = "alteration"  # modifica
    CONSULTATION = "consultation"  # consultazione
    DISCLOSURE = "disclosure"  # comunicazione
    TRANSFER = "transfer"  # trasferimento
    COMBINATION = "combination"  # interconnessione
    ERASURE = "erasure"  # cancellazione


@dataclass(frozen=True)
class AuditEntry:
    """One act to be put on record.

    Attributes:
        act: which of the seven.
        who: identity path of the person or system that acted.
        why: the reason it stated; never empty.
        what: resource name of the data, with the time range where it has one.
        to_whom: identity path of the recipient; empty when the data went to ``who`` or to nobody.
        case: reference of the proceeding or of the request; empty when there is none.
    """

    act: Act
    who: str
    why: str
    what: str
    to_whom: str = ""
    case: str = ""


@dataclass(frozen=True)
class AuditRecord:
    """An entry as it stands in the log.

    Attributes:
        entry: the act.
        sequence: from 1, without gaps.
        recorded_at: when it was written, UTC, to the microsecond.
        previous_hash: of entry ``sequence - 1``, 32 bytes.
        hash: of this entry, 32 bytes.
    """

    entry: AuditEntry
    sequence: int
    recorded_at: datetime
    previous_hash: bytes
    hash: bytes


def hash_entry(entry: AuditEntry, sequence: int, recorded_at: datetime, previous_hash: bytes) -> bytes:
    """SHA-256 over the previous hash and the canonical form of the entry: JSON, UTF-8, sorted keys, no blanks."""
    canonical = json.dumps(
        {
            "act": entry.act.value,
            "case": entry.case,
            "recorded_at": recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "sequence": sequence,
            "to_whom": entry.to_whom,
            "what": entry.what,
            "who": entry.who,
            "why": entry.why,
        },
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    return hashlib.sha256(previous_hash + canonical.encode()).digest()


async def migrate(pool: Pool, *, phase: Phase) -> list[str]:
    """Brings the table of the log into the pool's schema, see ``mesh.postgres.migrate``."""
    return await _migrate(pool, service="audit", package=_PACKAGE, phase=phase)


class AuditLog:
    """Writes and reads the log."""

    def __init__(self, pool: Pool) -> None:
        """Takes a pool on the schema that holds the log."""
        self._pool = pool

    async def append(self, entry: AuditEntry, *, connection: Any = None) -> AuditRecord:
        """Puts an act on record. Hand the data over only after this has returned.

        Args:
            entry: the act.
            connection: inside a transaction, to record an act together with what it changes; a transaction of its own
                if none is given. Appends wait for each other until their transactions end.

        Raises:
            InvalidArgument: reason, actor or object are missing.
            Unavailable: it cannot be written; what was asked for must be refused.
        """
        _check(entry)
        try:
            if connection is not None:
                return await self._append(connection, entry)
            async with self._pool.acquire(timeout=5) as own, own.transaction():
                return await self._append(own, entry)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            raise Unavailable("the audit log cannot be written", reason="AUDIT_UNAVAILABLE") from error

    async def _append(self, connection: Any, entry: AuditEntry) -> AuditRecord:
        await connection.execute(_QUERIES["lock_log"])
        # The clock is read under the lock, so that times never run against the sequence.
        head = await connection.fetchrow(_QUERIES["get_head"])
        sequence = head["sequence"] + 1 if head["sequence"] else 1
        previous_hash = head["hash"] or GENESIS
        record = AuditRecord(
            entry=entry,
            sequence=sequence,
            recorded_at=head["now"],
            previous_hash=previous_hash,
            hash=hash_entry(entry, sequence, head["now"], previous_hash),
        )
        await connection.execute(
            _QUERIES["append_entry"], sequence, record.recorded_at, entry.act.value, entry.who, entry.why, entry.what,
            entry.to_whom, entry.case, previous_hash, record.hash,
        )  # fmt: skip
        return record

    async def head(self) -> tuple[int, bytes]:
        """Sequence number and hash of the newest entry, ``(0, GENESIS)`` of an empty log.

        Kept elsewhere, it is the anchor that shows a later cut.

        Raises:
            Unavailable: the log cannot be read.
        """
        async with self._reading() as connection:
            row = await connection.fetchrow(_QUERIES["get_head"])
            return row["sequence"] or 0, row["hash"] or GENESIS

    async def verify(self, *, anchor: tuple[int, bytes] | None = None) -> int | None:
        """Walks the whole chain.

        Args:
            anchor: an earlier ``head``, kept elsewhere; the log must still hold it.

        Returns:
            The first sequence number that is changed, missing or out of place, none when the log is whole.

        Raises:
            Unavailable: the log cannot be read.
        """
        sequence, previous_hash = 0, GENESIS
        async with self._reading() as connection:
            async for row in connection.cursor(_QUERIES["list_entries"], prefetch=1000):
                sequence += 1
                if row["sequence"] != sequence or not _is_whole(row, previous_hash):
                    return sequence
                previous_hash = bytes(row["hash"])
                if anchor is not None and sequence == anchor[0] and previous_hash != anchor[1]:
                    return sequence
        return sequence + 1 if anchor is not None and sequence < anchor[0] else None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire(timeout=5) as connection, connection.transaction(readonly=True):
                yield connection
        except UNAVAILABLE as error:
            raise Unavailable("the audit log cannot be read", reason="AUDIT_UNAVAILABLE") from error


async def verify(pool: Pool) -> int | None:
    """See ``AuditLog.verify``."""
    return await AuditLog(pool).verify()


def _check(entry: AuditEntry) -> None:
    missing = [name for name in ("who", "why", "what") if not getattr(entry, name).strip()]
    if missing:
        raise InvalidArgument(
            f"an act on personal data needs {' and '.join(missing)}",
            reason="AUDIT_FIELD_MISSING",
            violations=[FieldViolation(name, "must not be empty") for name in missing],
        )


def _is_whole(row: Any, previous_hash: bytes) -> bool:
    try:
        act = Act(row["act"])
    except ValueError:
        return False
    entry = AuditEntry(act, row["who"], row["why"], row["what"], row["to_whom"], row["case_reference"])
    expected = hash_entry(entry, row["sequence"], row["recorded_at"], previous_hash)
    return bytes(row["previous_hash"]) == previous_hash and bytes(row["hash"]) == expected
