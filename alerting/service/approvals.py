from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from google.protobuf.message import Message

from alerting import contracts
from alerting.approvals import ApprovalDesk, Asked
from alerting.domain import tokens
from alerting.domain.approvals import Approval, Kind
from alerting.fingerprint import fingerprint
from argo.alerting.v1 import approval_service_pb2 as v1
from argo.alerting.v1 import approval_service_pb2_grpc as v1_grpc
from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest
from argo.anonymizer.v1.recording_service_pb2 import ExportClipRequest
from mesh.identity import current_identity

_NAME: Final = re.compile(r"approvals/([a-z][a-z0-9-]{0,62})")
_MESSAGES: Mapping[Kind, type[Message]] = MappingProxyType(
    {Kind.SEARCH: SearchObservationsRequest, Kind.EXPORT: ExportClipRequest}
)


class ApprovalServicer(v1_grpc.ApprovalServiceServicer):
    """``argo.alerting.v1.ApprovalService``."""

    def __init__(self, desk: ApprovalDesk, clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._clock = clock

    async def GetApproval(self, request: v1.GetApprovalRequest, _context: Any) -> v1.Approval:  # noqa: N802 - the contract's name
        """See the contract."""
        return self._message(await self._desk.get(_id(request.name), current_identity().path))

    async def ListApprovals(self, request: v1.ListApprovalsRequest, _context: Any) -> v1.ListApprovalsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        limit, after = tokens.page_size(request.page_size), tokens.decode_place(request.page_token)
        found = await self._desk.page(current_identity().path, after, limit, waiting=request.waiting)
        more = len(found) == limit
        return v1.ListApprovalsResponse(
            approvals=[self._message(approval) for approval in found],
            next_page_token=tokens.encode_place(found[-1].create_time, found[-1].approval_id) if more else "",
        )

    async def CreateApproval(self, request: v1.CreateApprovalRequest, _context: Any) -> v1.Approval:  # noqa: N802 - the contract's name
        """See the contract."""
        field = request.approval.WhichOneof("request")
        if field is None:
            raise tokens.invalid("approval.request", "is required: the search or the export as it is to be done")
        asked = getattr(request.approval, field)
        made = await self._desk.create(
            Asked(
                kind=Kind(field),
                request=asked.SerializeToString(deterministic=True),
                fingerprint=fingerprint(asked),
                reason=contracts.text_of(request.reason, "reason", required=True),
                request_id=contracts.request_id(request.request_id),
            ),
            current_identity().path,
        )
        return self._message(made)

    async def GrantApproval(self, request: v1.GrantApprovalRequest, _context: Any) -> v1.Approval:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._decide(request, grant=True)

    async def RejectApproval(self, request: v1.RejectApprovalRequest, _context: Any) -> v1.Approval:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._decide(request, grant=False)

    async def _decide(self, request: Any, *, grant: bool) -> v1.Approval:
        reason = contracts.text_of(request.reason, "reason", required=True)
        decided = await self._desk.decide(_id(request.name), current_identity().path, reason, grant=grant)
        return self._message(decided)

    def _message(self, approval: Approval) -> v1.Approval:
        message = v1.Approval(
            name=approval.name,
            state=v1.Approval.State.ValueType(approval.state_at(self._clock())),
            author=approval.author,
            reason=approval.reason,
            decider=approval.decider,
            decision_reason=approval.decision_reason,
            create_time=contracts.timestamp(approval.create_time),
            expire_time=contracts.timestamp(approval.expire_time),
        )
        if approval.decide_time is not None:
            message.decide_time.CopyFrom(contracts.timestamp(approval.decide_time))
        asked = _MESSAGES[approval.kind].FromString(approval.request)
        getattr(message, approval.kind.value).CopyFrom(asked)
        return message


def _id(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise tokens.invalid("name", "must be approvals/{approval}")
    return match[1]
