"""Reading the audit log page by page."""

from __future__ import annotations

from alerting.store.database import Database
from alerting.store.queries import QUERIES
from mesh.audit import Act, AuditEntry, AuditRecord


class AuditReader:
    """Raises ``Unavailable`` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(self, after: int, limit: int) -> list[AuditRecord]:
        """Entries after a sequence number, oldest first, at most ``limit``; hashes are as stored, not verified."""
        rows = await self._database.fetch(QUERIES["list_audit_entries"], after, limit)
        return [
            AuditRecord(
                entry=AuditEntry(
                    Act(row["act"]), row["who"], row["why"], row["what"], row["to_whom"], row["case_reference"]
                ),
                sequence=row["sequence"],
                recorded_at=row["recorded_at"],
                previous_hash=bytes(row["previous_hash"]),
                hash=bytes(row["hash"]),
            )
            for row in rows
        ]
