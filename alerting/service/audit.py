from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from alerting import contracts
from alerting.domain import tokens
from alerting.domain.audience import Audience
from alerting.records import Records
from alerting.store.audit import AuditReader
from argo.alerting.v1 import audit_service_pb2 as v1
from argo.alerting.v1 import audit_service_pb2_grpc as v1_grpc
from mesh.audit import Act, AuditLog, AuditRecord
from mesh.identity import current_identity

_ACTS: Mapping[Act, v1.AuditEntry.Act.ValueType] = MappingProxyType(
    {
        Act.COLLECTION: v1.AuditEntry.ACT_COLLECTION,
        Act.ALTERATION: v1.AuditEntry.ACT_CHANGE,
        Act.CONSULTATION: v1.AuditEntry.ACT_CONSULTATION,
        Act.DISCLOSURE: v1.AuditEntry.ACT_COMMUNICATION,
        Act.TRANSFER: v1.AuditEntry.ACT_TRANSFER,
        Act.COMBINATION: v1.AuditEntry.ACT_COMBINATION,
        Act.ERASURE: v1.AuditEntry.ACT_ERASURE,
    }
)


class AuditServicer(v1_grpc.AuditServiceServicer):
    """``argo.alerting.v1.AuditService``."""

    def __init__(self, log: AuditLog, reader: AuditReader, records: Records) -> None:
        self._log = log
        self._reader = reader
        self._records = records

    async def ListAuditEntries(self, request: v1.ListAuditEntriesRequest, _context: Any) -> v1.ListAuditEntriesResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        reason = contracts.text_of(request.reason, "reason", required=True)
        limit, after = tokens.page_size(request.page_size), _after(request.page_token)
        await self._records.reading(Audience(current_identity().path), f"audit entries after {after}", reason)
        records = await self._reader.list_entries(after, limit)
        return v1.ListAuditEntriesResponse(
            entries=[_message(record) for record in records],
            next_page_token=tokens.encode_token(str(records[-1].sequence)) if len(records) == limit else "",
        )

    async def VerifyAuditLog(self, _request: v1.VerifyAuditLogRequest, _context: Any) -> v1.VerifyAuditLogResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        # The head is read first: entries that come meanwhile are not missed, and a cut of the newest shows.
        entries, head = await self._log.head()
        bad = await self._log.verify(anchor=(entries, head))
        return v1.VerifyAuditLogResponse(entries=entries, first_bad_sequence=bad or 0, head=head)


def _after(token: str) -> int:
    if not token:
        return 0
    (sequence,) = tokens.decode_token(token, 1, "page_token")
    if not sequence.isdecimal():
        raise tokens.invalid("page_token", "is not one that this service gave out")
    return int(sequence)


def _message(record: AuditRecord) -> v1.AuditEntry:
    entry = record.entry
    return v1.AuditEntry(
        sequence=record.sequence,
        time=contracts.timestamp(record.recorded_at),
        act=_ACTS[entry.act],
        actor=entry.who,
        reason=entry.why,
        case_reference=entry.case,
        subject=entry.what,
        recipient=entry.to_whom,
        digest=record.hash,
    )
