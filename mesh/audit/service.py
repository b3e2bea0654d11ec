"""``argo.alerting.v1.AuditService``, for every service that keeps a log.

mesh imports no contract: whoever serves it hands the generated messages in.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mesh.audit.entries import Act, AuditEntry
from mesh.audit.reading import Export, Question, page
from mesh.errors import FailedPrecondition, FieldViolation, InvalidArgument
from mesh.identity import current_identity

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mesh.audit.log import AuditLog
    from mesh.rpc.server import Registrar
    from mesh.signing import Signer

SERVICE: Final = "argo.alerting.v1.AuditService"
_PAGE, _LARGEST_PAGE, _LONGEST_TEXT = 50, 1000, 500
_ACTS: Mapping[Act, str] = MappingProxyType(
    {
        Act.COLLECTION: "ACT_COLLECTION",
        Act.ALTERATION: "ACT_CHANGE",
        Act.CONSULTATION: "ACT_CONSULTATION",
        Act.DISCLOSURE: "ACT_COMMUNICATION",
        Act.TRANSFER: "ACT_TRANSFER",
        Act.COMBINATION: "ACT_COMBINATION",
        Act.ERASURE: "ACT_ERASURE",
    }
)


class AuditServicer:
    """Answers for one log.

    Args:
        messages: the generated module ``audit_service_pb2``.
        log: the log, as it can be read now; raises ``Unavailable`` when it cannot.
        name: of the log, for example ``"alerting"``.
        signer: signs exports; none: there are none.
        clock: tells the time, in UTC.
    """

    def __init__(
        self,
        messages: Any,
        log: Callable[[], AuditLog],
        name: str,
        signer: Signer | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._messages = messages
        self._log = log
        self._name = name
        self._signer = signer
        self._clock = clock

    def register(self, add_to_server: Callable[[Any, Any], None], server: Registrar) -> None:
        """Adds it to a server by the generated function."""
        server.add(add_to_server, self, SERVICE)

    async def ListAuditEntries(self, request: Any, _context: Any) -> Message:  # noqa: N802 - the contract's name
        """See the contract."""
        reason, question = _text(request.reason, "reason"), self._question(request)
        limit, after = _limit(request.page_size), _after(request.page_token)
        log = self._log()
        what = f"audit entries after {after}, {question}"
        await log.append(AuditEntry(Act.CONSULTATION, current_identity().path, reason, what))
        rows = await page(log.pool, question, after, limit)
        more = len(rows) == limit
        answer: Message = self._messages.ListAuditEntriesResponse(
            entries=[self._entry(row) for row in rows],
            next_page_token=_token(rows[-1]["sequence"]) if more else "",
        )
        return answer

    async def VerifyAuditLog(self, _request: Any, _context: Any) -> Message:  # noqa: N802 - the contract's name
        """See the contract."""
        # The head is read first: entries that come meanwhile are not missed, and a cut of the newest shows.
        log = self._log()
        entries, head = await log.head()
        bad = await log.verify(anchor=(entries, head))
        answer: Message = self._messages.VerifyAuditLogResponse(entries=entries, first_bad_sequence=bad or 0, head=head)
        return answer

    async def ExportAuditLog(self, request: Any, _context: Any) -> AsyncIterator[Message]:  # noqa: N802 - the contract's name
        """See the contract."""
        if self._signer is None:
            raise FailedPrecondition(
                "this service has no key that signs an export: set ARGO_SIGNING_KEY_FILE", reason="NO_SIGNING_KEY"
            )
        entry = AuditEntry(
            Act.DISCLOSURE,
            current_identity().path,
            _text(request.reason, "reason"),
            f"audit log of {self._name}",
            _text(request.recipient, "recipient"),
            _text(request.case_reference, "case_reference", required=False),
        )
        export = Export(self._log(), self._name, entry)
        async for content in export.pieces():
            yield self._messages.ExportAuditLogResponse(content=content)
        yield self._messages.ExportAuditLogResponse(signed_manifest=export.manifest(self._signer, self._clock()))

    def _question(self, request: Any) -> Question:
        numbers = {self._messages.AuditEntry.Act.Value(name): act for act, name in _ACTS.items()}
        unknown = [number for number in request.acts if number not in numbers]
        if unknown:
            raise _invalid("acts", "holds a value that is not a kind of act")
        return Question(
            start=_time(request, "start_time"),
            end=_time(request, "end_time"),
            actor=_text(request.actor, "actor", required=False),
            acts=tuple(numbers[number] for number in request.acts),
            case=_text(request.case_reference, "case_reference", required=False),
            subject_prefix=_text(request.subject_prefix, "subject_prefix", required=False),
            recipient=_text(request.recipient, "recipient", required=False),
        )

    def _entry(self, row: Any) -> Message:
        entry: Message = self._messages.AuditEntry(
            sequence=row["sequence"],
            time=row["recorded_at"],
            act=_ACTS[Act(row["act"])],
            actor=row["who"],
            reason=row["why"],
            case_reference=row["case_reference"],
            subject=row["what"],
            recipient=row["to_whom"],
            digest=bytes(row["hash"]),
        )
        return entry


def _time(request: Any, field: str) -> datetime | None:
    if not request.HasField(field):
        return None
    try:
        time: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _invalid(field, "is not a time of the calendar") from None
    return time


def _text(value: str, field: str, *, required: bool = True) -> str:
    value = value.strip()
    if required and not value:
        raise _invalid(field, "is required: every look is on record with its reason")
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        raise _invalid(field, f"must be one line of at most {_LONGEST_TEXT} printable characters")
    return value


def _limit(requested: int) -> int:
    if requested < 0:
        raise _invalid("page_size", "must not be negative")
    return min(requested or _PAGE, _LARGEST_PAGE)


def _token(sequence: int) -> str:
    return base64.urlsafe_b64encode(str(sequence).encode()).decode().rstrip("=")


def _after(token: str) -> int:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = "-"
    if token and not (text.isascii() and text.isdecimal() and int(text) < 2**63):
        raise _invalid("page_token", "is not one that this service gave out")
    return int(text) if token else 0


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field} {description}",
        reason="INVALID_FIELD",
        metadata={"field": field},
        violations=[FieldViolation(field, description)],
    )
