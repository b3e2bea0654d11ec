"""Leading a request to a second person, and telling whoever serves it whether that one agreed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from alerting.domain.approvals import TIME_TO_DECIDE, Approval, Kind, check_use, decide
from alerting.records import Records
from alerting.store.approvals import ApprovalStore
from mesh.errors import InvalidArgument, NotFound
from mesh.identity import person_of

log = structlog.get_logger()

_SEES_ALL = ("supervisor", "auditor")


@dataclass(frozen=True)
class Asked:
    """What somebody asks for.

    Attributes:
        kind: what it is.
        request: the serialised request, as the decider reads it.
        fingerprint: SHA-256 of what counts of it.
        reason: why.
        request_id: of a request that may be repeated; none: it may not.
    """

    kind: Kind
    request: bytes
    fingerprint: bytes
    reason: str
    request_id: uuid.UUID | None


class ApprovalDesk:
    """Implements ``alerting.domain.approvals.Approvals``. Every step is on record in its own transaction."""

    def __init__(self, store: ApprovalStore, records: Records, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._records = records
        self._clock = clock

    async def create(self, asked: Asked, author: str) -> Approval:
        """Asks; a repeated request is answered with what the first one made.

        Raises:
            InvalidArgument: the request id was used for something else (``REQUEST_ID_REUSED``).
        """
        now = self._clock()
        made = Approval(
            approval_id=f"a{uuid.uuid4().hex}",
            kind=asked.kind,
            request=asked.request,
            fingerprint=asked.fingerprint,
            author=author,
            reason=asked.reason,
            create_time=now,
            expire_time=now + TIME_TO_DECIDE,
        )
        before = await self._store.find(author, asked.request_id)
        if before is not None:
            return _same(before, made)
        async with self._store.changing(made.approval_id) as (connection, _):
            await self._store.write(connection, made, asked.request_id)
            await self._records.change(connection, author, made.name, asked.reason)
        log.info("approval.requested", approval=made.name, kind=made.kind.value)
        return made

    async def decide(self, approval_id: str, decider: str, reason: str, *, grant: bool) -> Approval:
        """Grants or rejects.

        Raises:
            NotFound: there is none (``APPROVAL_NOT_FOUND``).
            PermissionDenied, FailedPrecondition: see ``alerting.domain.approvals.decide``.
        """
        async with self._store.changing(approval_id) as (connection, approval):
            if approval is None:
                raise _not_found(approval_id)
            decided = decide(approval, decider, reason, self._clock(), grant=grant)
            await self._store.write(connection, decided)
            await self._records.change(connection, decider, decided.name, reason)
        log.info("approval.decided", approval=decided.name, state=decided.state.name)
        return decided

    async def get(self, approval_id: str, reader: str) -> Approval:
        """Reads one.

        Raises:
            NotFound: there is none, or it is none of the reader's business (``APPROVAL_NOT_FOUND``).
        """
        approval = await self._store.get(approval_id)
        if approval is None or not _sees(reader, approval):
            raise _not_found(approval_id)
        return approval

    async def page(
        self, reader: str, after: tuple[datetime, str] | None, limit: int, *, waiting: bool
    ) -> list[Approval]:
        """A page of what the reader may see, newest first."""
        author = None if reader.split("/")[-2] in _SEES_ALL else reader
        return await self._store.page(author, after, limit, self._clock(), waiting=waiting)

    async def require(self, name: str, kind: Kind, fingerprint: bytes, actor: str) -> Approval:
        """See ``alerting.domain.approvals.Approvals``."""
        approval_id = name.removeprefix("approvals/")
        approval = await self._store.get(approval_id)
        if approval is None or person_of(approval.author) != person_of(actor):
            raise _not_found(approval_id)
        check_use(approval, kind, fingerprint, self._clock())
        return approval


def _sees(reader: str, approval: Approval) -> bool:
    return reader.split("/")[-2] in _SEES_ALL or person_of(reader) == person_of(approval.author)


def _same(before: Approval, asked: Approval) -> Approval:
    if (before.kind, before.request, before.reason) != (asked.kind, asked.request, asked.reason):
        raise InvalidArgument(
            "this request_id was used for another request", reason="REQUEST_ID_REUSED", metadata={"field": "request_id"}
        )
    return before


def _not_found(approval_id: str) -> NotFound:
    name = f"approvals/{approval_id}"
    return NotFound(f"{name} does not exist", reason="APPROVAL_NOT_FOUND", metadata={"name": name})
