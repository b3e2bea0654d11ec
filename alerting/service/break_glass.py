from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from alerting import contracts
from alerting.break_glass import BreakGlassDesk
from alerting.domain import tokens
from alerting.domain.break_glass import Case
from argo.alerting.v1 import break_glass_service_pb2 as v1
from argo.alerting.v1 import break_glass_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity

_NAME: Final = re.compile(r"breakGlassCases/([a-z][a-z0-9-]{0,62})")
_JUSTIFIED: Final = v1.ReviewBreakGlassRequest.VERDICT_JUSTIFIED


class BreakGlassServicer(v1_grpc.BreakGlassServiceServicer):
    """``argo.alerting.v1.BreakGlassService``."""

    def __init__(self, desk: BreakGlassDesk, clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._clock = clock

    async def BreakGlass(self, request: v1.BreakGlassRequest, _context: Any) -> v1.BreakGlassCase:  # noqa: N802 - the contract's name
        """See the contract."""
        reason = contracts.text_of(request.reason, "reason", required=True)
        reference = contracts.text_of(request.case_reference, "case_reference")
        return self._message(await self._desk.take(current_identity(), request.right, reason, reference))

    async def EndBreakGlass(self, request: v1.EndBreakGlassRequest, _context: Any) -> v1.BreakGlassCase:  # noqa: N802 - the contract's name
        """See the contract."""
        return self._message(await self._desk.end(_id(request.name), current_identity().path))

    async def ListBreakGlassCases(  # noqa: N802 - the contract's name
        self, request: v1.ListBreakGlassCasesRequest, _context: Any
    ) -> v1.ListBreakGlassCasesResponse:
        """See the contract."""
        limit, after = tokens.page_size(request.page_size), tokens.decode_place(request.page_token)
        found = await self._desk.page(current_identity().path, after, limit, unreviewed=request.unreviewed)
        more = len(found) == limit
        return v1.ListBreakGlassCasesResponse(
            cases=[self._message(case) for case in found],
            next_page_token=tokens.encode_place(found[-1].create_time, found[-1].case_id) if more else "",
        )

    async def ReviewBreakGlass(self, request: v1.ReviewBreakGlassRequest, _context: Any) -> v1.BreakGlassCase:  # noqa: N802 - the contract's name
        """See the contract."""
        if request.verdict not in (
            v1.ReviewBreakGlassRequest.VERDICT_JUSTIFIED,
            v1.ReviewBreakGlassRequest.VERDICT_UNJUSTIFIED,
        ):
            raise tokens.invalid("verdict", "is required: justified or unjustified")
        reviewed = await self._desk.review(
            _id(request.name),
            current_identity().path,
            contracts.text_of(request.reason, "reason", required=True),
            justified=request.verdict == _JUSTIFIED,
        )
        return self._message(reviewed)

    def _message(self, case: Case) -> v1.BreakGlassCase:
        message = v1.BreakGlassCase(
            name=case.name,
            person=case.person,
            right=case.right,
            reason=case.reason,
            case_reference=case.case_reference,
            create_time=contracts.timestamp(case.create_time),
            expire_time=contracts.timestamp(case.expire_time),
            review_due_time=contracts.timestamp(case.review_due_time),
            state=v1.BreakGlassCase.State.ValueType(case.state_at(self._clock())),
        )
        if case.review is not None:
            message.reviewer, message.review_reason = case.review.reviewer, case.review.reason
            message.review_time.CopyFrom(contracts.timestamp(case.review.time))
        return message


def _id(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None:
        raise tokens.invalid("name", "must be breakGlassCases/{case}")
    return match[1]
