"""The audit log: append-only and hash-chained, in the PostgreSQL schema of the service that owns the act.

It holds the seven acts that D.Lgs. 51/2018, art. 21 (LED, art. 25) wants on record: collection, alteration,
consultation, disclosure, transfer, combination and erasure, with the reason, date and time and, as far as possible, who
did it and who received the data.

Entry ``n`` carries the SHA-256 of the canonical form of its own fields and of the hash of entry ``n - 1``. A change of
any row shows in ``verify``; a cut of the newest rows shows when the head (``AuditLog.head``) is also kept elsewhere.
"""

from __future__ import annotations

from mesh.audit.chain import Anchor, ChainWalk, Fault, Finding, Place
from mesh.audit.entries import GENESIS, Act, AuditEntry, AuditRecord, hash_entry
from mesh.audit.guard import powers, protect, report
from mesh.audit.log import AuditLog, Examination, migrate, verify

__all__ = [
    "GENESIS",
    "Act",
    "Anchor",
    "AuditEntry",
    "AuditLog",
    "AuditRecord",
    "ChainWalk",
    "Examination",
    "Fault",
    "Finding",
    "Place",
    "hash_entry",
    "migrate",
    "powers",
    "protect",
    "report",
    "verify",
]
