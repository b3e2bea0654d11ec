"""Putting searches on record: the query before it runs, each page before it is handed over."""

from __future__ import annotations

from mesh import audit
from mesh.audit import Act


class SearchRecords:
    """Writes the audit log. Every method raises ``Unavailable`` (``AUDIT_UNAVAILABLE``) when that cannot be done."""

    def __init__(self, log: audit.AuditLog) -> None:
        self._log = log

    async def asked(self, who: str, why: str, case: str, what: str, *, combines: bool) -> None:
        """Somebody searches; following a vehicle from sighting to sighting combines what was seen apart."""
        act = Act.COMBINATION if combines else Act.CONSULTATION
        await self._log.append(audit.AuditEntry(act=act, who=who, why=why, what=what, case=case))

    async def handed_over(self, who: str, why: str, case: str, what: str) -> None:
        """A page of what was found goes out."""
        await self._log.append(audit.AuditEntry(act=Act.CONSULTATION, who=who, why=why, what=what, case=case))
