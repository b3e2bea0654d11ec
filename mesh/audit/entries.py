"""One act on personal data: what is put on record, and the form over which it is hashed."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.errors import FieldViolation, InvalidArgument

GENESIS = bytes(32)
"""The hash before the first entry."""

_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


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
    """SHA-256 over the previous hash and the canonical form of the entry: JSON, UTF-8, sorted keys, no blanks.

    The function ``append_audit_entry`` of the database writes the very same form.
    """
    canonical = _CANONICAL.encode(
        {
            "act": entry.act.value,
            "case": entry.case,
            "recorded_at": recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "sequence": sequence,
            "to_whom": entry.to_whom,
            "what": entry.what,
            "who": entry.who,
            "why": entry.why,
        }
    )
    return hashlib.sha256(previous_hash + canonical.encode()).digest()


def check_entry(entry: AuditEntry) -> None:
    """Checks that an act can be put on record.

    Raises:
        InvalidArgument: reason, actor or object are missing, or a text holds what PostgreSQL's text cannot.
    """
    violations = [
        FieldViolation(name, "must not be empty") for name in ("who", "why", "what") if not getattr(entry, name).strip()
    ]
    if violations:
        missing = " and ".join(violation.field for violation in violations)
        raise InvalidArgument(
            f"an act on personal data needs {missing}", reason="AUDIT_FIELD_MISSING", violations=violations
        )
    violations = [
        FieldViolation(name, "must be text without NUL and lone surrogates")
        for name in ("who", "why", "what", "to_whom", "case")
        if not _is_storable(getattr(entry, name))
    ]
    if violations:
        raise InvalidArgument("the act cannot be written down", reason="AUDIT_FIELD_INVALID", violations=violations)


def _is_storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
