"""HistoryService: what the records said at any past instant, and who made them say so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from argo.registry.v1 import history_service_pb2 as pb
from mesh.errors import FieldViolation, InvalidArgument, NotFound
from mesh.identity import current_identity
from registry import history, tenancy
from registry.auditing import ReadLog, what_is_read
from registry.domain.names import NamePattern
from registry.domain.network import CameraNetworks
from registry.history_store import HistoryStore, Instant
from registry.listing import listing
from registry.records import from_row
from registry.resources import RESOURCES
from registry.store import RecordStore

FULL_NAME = "argo.registry.v1.HistoryService"

_OPTIC = NamePattern(("devices", "optics"))
_NEWEST = 2**63 - 1


class HistoryServicer:
    """Answers for the past. Every read goes on record like those of the present."""

    def __init__(self, changes: HistoryStore, store: RecordStore, reads: ReadLog, networks: CameraNetworks) -> None:
        """Takes its parts.

        Args:
            changes: all that there ever were.
            store: of the records; signs page tokens.
            reads: where reads go on record.
            networks: where cameras may be.
        """
        self.reads = reads
        self._history = changes
        self._store = store
        self._networks = networks

    async def GetOpticRecord(self, request: pb.GetOpticRecordRequest, _context: Any) -> pb.OpticRecord:  # noqa: N802 - the contract's name
        """The record of an optic as it was."""
        _check_optic_request(request)
        present = await self._history.present()
        asked = request.time.ToDatetime(UTC) if request.HasField("time") else present.time
        if asked > present.time:
            raise _invalid("time", "must not be in the future", "INVALID_TIME")
        what = f"{request.name}?version={request.version}" if request.version else f"{request.name}?time={asked:%FT%TZ}"
        return await self.reads.answer("GetOpticRecord", what, self._optic_record(request, asked))

    async def ListRevisions(self, request: pb.ListRevisionsRequest, _context: Any) -> pb.ListRevisionsResponse:  # noqa: N802 - the contract's name
        """A page of changes, newest first."""
        resource = next((each for each in RESOURCES.values() if each.pattern.matches(request.parent)), None)
        if resource is None:
            raise _invalid("parent", "must be the name of a record", "INVALID_NAME")
        sight = tenancy.visible_to(current_identity(), resource.kind)
        asked = listing(
            request,
            query=f"revisions of {request.parent} seen by {sight}",
            secret=await self._store.page_secret(),
        )
        before = int(asked.after or _NEWEST)
        reading = self._history.revisions(request.parent, before, history.COLLECTIONS, sight, asked.limit)
        changes = await self.reads.answer("ListRevisions", what_is_read("ListRevisions", request), reading)
        if not changes and not asked.after:
            raise _not_found(request.parent)
        response = pb.ListRevisionsResponse(revisions=[history.revision(change) for change in changes[: asked.size]])
        response.next_page_token = asked.next_page_token(changes, lambda change: str(change.sequence))
        return response

    async def _optic_record(self, request: pb.GetOpticRecordRequest, asked: datetime) -> pb.OpticRecord:
        instant = await self._instant(request, asked)
        changes = await self._history.around_optic(request.name, instant)
        sight = tenancy.visible_to(current_identity())
        owner = next((change.controller for change in changes if change.collection == "devices"), "")
        record = history.optic_record(changes, instant, self._networks)
        if record is None or (sight is not None and owner != sight):
            raise _not_found(request.name)
        if record.device.site:
            site = await self._history.record("sites", record.device.site, instant)
            if site is not None and site.record is not None and sight in {None, site.controller}:
                record.site.CopyFrom(from_row(RESOURCES["site"], site.record))
        return record

    async def _instant(self, request: pb.GetOpticRecordRequest, asked: datetime) -> Instant:
        if request.version:
            return await self._history.instant_of_change(request.version)
        return await self._history.instant_of_time(asked)


def _check_optic_request(request: pb.GetOpticRecordRequest) -> None:
    if not _OPTIC.matches(request.name):
        raise _invalid("name", f"must be {_OPTIC}", "INVALID_NAME")
    if request.version < 0:
        raise _invalid("version", "must not be negative", "INVALID_VERSION")
    if request.version and request.HasField("time"):
        raise _invalid("time", "must not be given together with a version", "INVALID_TIME")
    try:
        request.time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise _invalid("time", "is outside the range of its type", "INVALID_TIME") from None


def _invalid(field: str, problem: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"{field} {problem}", reason=reason, violations=[FieldViolation(field, problem)])


def _not_found(name: str) -> NotFound:
    return NotFound(f"{name} has no such history", reason="RESOURCE_NOT_FOUND", metadata={"name": name})
