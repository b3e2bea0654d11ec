"""An auditor's questions to the log, and the log as a signed file for whoever supervises."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from mesh.audit import files
from mesh.audit.entries import Act, AuditEntry
from mesh.errors import Unavailable
from mesh.postgres import UNAVAILABLE, Pool, load_queries

if TYPE_CHECKING:
    from mesh.audit.log import AuditLog
    from mesh.signing import Signer

EXPORT: Final = "argo.audit-export/1"
"""What kind of statement the manifest of an export is, and its version."""

_QUERIES = load_queries("mesh.sql", "audit.sql")


@dataclass(frozen=True)
class Question:
    """Which entries.

    Attributes:
        start: from then on; none: from the first.
        end: before then; none: to the last.
        actor: identity path; empty: anybody.
        acts: of these kinds; none: of all.
        case: of this case; empty: of any.
        subject_prefix: about what begins so; empty: about anything.
        recipient: handed over to this one; empty: to anybody or nobody.
    """

    start: datetime | None = None
    end: datetime | None = None
    actor: str = ""
    acts: tuple[Act, ...] = ()
    case: str = ""
    subject_prefix: str = ""
    recipient: str = ""

    def __str__(self) -> str:
        """As it goes on record itself."""
        said = {
            "from": self.start.isoformat() if self.start else "",
            "until": self.end.isoformat() if self.end else "",
            "of": self.actor,
            "acts": " ".join(act.value for act in self.acts),
            "case": self.case,
            "about": self.subject_prefix,
            "to": self.recipient,
        }
        return ", ".join(f"{name} {value}" for name, value in said.items() if value) or "all"


async def page(pool: Pool, question: Question, after: int, limit: int) -> list[Any]:
    """Entries that answer a question, oldest first; hashes are as stored, not verified.

    Args:
        pool: on the schema of the log.
        question: which ones.
        after: number of the last entry of the page before; 0: from the start.
        limit: at most so many.

    Returns:
        Rows with the columns of the table.

    Raises:
        Unavailable: the log cannot be read.
    """
    try:
        rows: list[Any] = await pool.fetch(
            _QUERIES["page_entries"], after, question.start, question.end, question.actor,
            [act.value for act in question.acts], question.case, question.subject_prefix, question.recipient, limit,
        )  # fmt: skip
    except (*UNAVAILABLE, asyncpg.PostgresError) as error:
        raise Unavailable("the audit log cannot be read", reason="AUDIT_UNAVAILABLE") from error
    return rows


class Export:
    """The whole log as JSON lines, and what is said and signed of it.

    Args:
        log: the log.
        name: of the log, for example ``"alerting"``.
        entry: the export itself, as it goes on record.
    """

    def __init__(self, log: AuditLog, name: str, entry: AuditEntry) -> None:
        self._log = log
        self._name = name
        self._entry = entry
        self._digest = hashlib.sha256()
        self._entries = 0
        self._anchor = ""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file, some lines at a time. The export is on record first, and is the last entry.

        Raises:
            Unavailable: it cannot be put on record, or the log cannot be read.
        """
        record = await self._log.append(self._entry)
        async with aclosing(self._log.batches()) as batches:
            async for rows in batches:
                mine = [row for row in rows if row["sequence"] <= record.sequence]
                content = "".join(files.to_line(row) + "\n" for row in mine).encode()
                self._digest.update(content)
                self._entries += len(mine)
                if mine:
                    self._anchor = f"{mine[-1]['sequence']}:{bytes(mine[-1]['hash']).hex()}"
                yield content

    def manifest(self, signer: Signer, now: datetime) -> bytes:
        """What is said of the file, signed; after the last piece."""
        entry = self._entry
        return signer.sign(
            {
                "anchor": self._anchor,
                "case": entry.case,
                "entries": self._entries,
                "exported_at": now.astimezone(UTC).isoformat(),
                "kind": EXPORT,
                "log": self._name,
                "sha256": self._digest.hexdigest(),
                "to_whom": entry.to_whom,
                "who": entry.who,
                "why": entry.why,
            }
        )
