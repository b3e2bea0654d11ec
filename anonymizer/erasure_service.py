"""argo.anonymizer.v1.ErasureService: the signed reports of erasure."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from argo.anonymizer.v1 import erasure_service_pb2, erasure_service_pb2_grpc
from mesh.audit import Act, AuditEntry
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import current_identity

if TYPE_CHECKING:
    from anonymizer.database import Database
    from anonymizer.erasure_index import ErasureIndex
    from anonymizer.store import RecordingStore

DEFAULT_PAGE: Final = 50
LARGEST_PAGE: Final = 1000
_COLLECTION: Final = "erasureReports"


class ErasureServicer(erasure_service_pb2_grpc.ErasureServiceServicer):
    """Answers ErasureService.

    Args:
        store: holds the reports.
        index: knows which there are.
        database: where acts are put on record.
    """

    def __init__(self, store: RecordingStore, index: ErasureIndex, database: Database) -> None:
        self._store = store
        self._index = index
        self._database = database

    async def ListErasureReports(  # noqa: N802 - the contract's name
        self, request: erasure_service_pb2.ListErasureReportsRequest, _context: Any
    ) -> erasure_service_pb2.ListErasureReportsResponse:
        """Lists the reports; see the contract."""
        if request.page_size < 0:
            raise _refusal(FieldViolation("page_size", "must not be negative"))
        after = _day(request.page_token, "page_token") if request.page_token else date.min
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        await self._record(request.reason, "list of reports of erasure")
        found = await self._index.reports(after, size + 1)
        page = found[:size]
        return erasure_service_pb2.ListErasureReportsResponse(
            erasure_reports=[
                erasure_service_pb2.ErasureReport(name=f"{_COLLECTION}/{day}", sha256=digest) for day, digest in page
            ],
            next_page_token=page[-1][0].isoformat() if len(found) > size else "",
        )

    async def GetErasureReport(  # noqa: N802 - the contract's name
        self, request: erasure_service_pb2.GetErasureReportRequest, _context: Any
    ) -> erasure_service_pb2.ErasureReport:
        """Gets a report; see the contract."""
        collection, _, text = request.name.partition("/")
        if collection != _COLLECTION:
            raise _refusal(FieldViolation("name", f"must look like {_COLLECTION}/2026-11-22"))
        day = _day(text, "name")
        await self._record(request.reason, f"report of erasure {day}")
        report = await self._store.report(day)
        return erasure_service_pb2.ErasureReport(
            name=request.name, sha256=hashlib.sha256(report).digest(), signed_report=report
        )

    async def _record(self, reason: str, what: str) -> None:
        if not reason.strip():
            raise _refusal(FieldViolation("reason", "is required: every read is on record with why"))
        entry = AuditEntry(Act.CONSULTATION, current_identity().path, reason.strip(), what)
        await self._database.put_on_record(entry)


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _refusal(FieldViolation(field, "must hold a day, e.g. 2026-11-22")) from None


def _refusal(*violations: FieldViolation) -> InvalidArgument:
    return InvalidArgument("the request cannot be used", reason="INVALID_ERASURE_REQUEST", violations=violations)
