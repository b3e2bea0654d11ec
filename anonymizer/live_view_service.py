"""argo.anonymizer.v1.LiveViewService: gives out permissions to watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from anonymizer.domain.viewing import DEFAULT_TOKEN_SECONDS, LONGEST_TOKEN_SECONDS, Viewing
from anonymizer.unpacking import OPTIC_NAME
from argo.anonymizer.v1 import live_view_service_pb2, live_view_service_pb2_grpc
from mesh.errors import FieldViolation, InvalidArgument, NotFound, PermissionDenied

if TYPE_CHECKING:
    from anonymizer.broadcast import Broadcasts
    from anonymizer.domain.viewing import ViewingBook

DEFAULT_PAGE: Final = 50
LARGEST_PAGE: Final = 1000


class LiveViewServicer(live_view_service_pb2_grpc.LiveViewServiceServicer):
    """Answers LiveViewService.

    Args:
        book: the permissions.
        broadcasts: the live pictures.
        base_url: of the WHEP endpoint, without a slash at its end.
        clock: seconds since the epoch.
    """

    def __init__(
        self, book: ViewingBook, broadcasts: Broadcasts, base_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._book = book
        self._broadcasts = broadcasts
        self._base_url = base_url
        self._clock = clock

    async def CreateViewing(  # noqa: N802 - the contract's name
        self, request: live_view_service_pb2.CreateViewingRequest, _context: Any
    ) -> live_view_service_pb2.Viewing:
        """Permits a viewing; see the contract."""
        _check(request)
        broadcast = self._broadcasts.find(request.optic)
        if broadcast is None:
            raise NotFound(
                f"{request.optic} has no live picture here", reason="NO_LIVE_PICTURE", metadata={"optic": request.optic}
            )
        if request.viewer.rsplit("/", 2)[-2] not in broadcast.viewer_kinds:
            raise PermissionDenied(
                f"the policy of {request.optic} lets others watch: {', '.join(sorted(broadcast.viewer_kinds))}",
                reason="VIEWER_NOT_ALLOWED",
                metadata={"optic": request.optic},
            )
        viewing, token = self._book.create(
            request.optic,
            request.viewer,
            request.purpose,
            request.audit_entry,
            lifetime=request.token_lifetime.ToTimedelta().total_seconds() or DEFAULT_TOKEN_SECONDS,
            most=broadcast.most_viewers,
            now=self._clock(),
            by_page=request.watermark == live_view_service_pb2.CreateViewingRequest.WATERMARK_BY_PAGE,
        )
        return self._pack(viewing, token)

    async def ListViewings(  # noqa: N802 - the contract's name
        self, request: live_view_service_pb2.ListViewingsRequest, _context: Any
    ) -> live_view_service_pb2.ListViewingsResponse:
        """Lists the viewings that go on; see the contract."""
        if request.page_size < 0:
            raise _refusal(FieldViolation("page_size", "must not be negative"))
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        following = [each for each in self._book.going_on(self._clock()) if each.name > request.page_token]
        page = following[:size]
        return live_view_service_pb2.ListViewingsResponse(
            viewings=[self._pack(each) for each in page],
            next_page_token=page[-1].name if len(following) > size else "",
        )

    def _pack(self, viewing: Viewing, token: str = "") -> live_view_service_pb2.Viewing:
        device, optic = viewing.optic.split("/")[1::2]
        message = live_view_service_pb2.Viewing(
            name=viewing.name,
            optic=viewing.optic,
            viewer=viewing.viewer,
            purpose=viewing.purpose,
            whep_url=f"{self._base_url}/whep/{device}/{optic}",
            still_url=f"{self._base_url}/still/{device}/{optic}",
            token=token,
        )
        message.expire_time.FromNanoseconds(round(viewing.expires * 1e9))
        if viewing.started is not None:
            message.start_time.FromNanoseconds(round(viewing.started * 1e9))
        return message


def _check(request: live_view_service_pb2.CreateViewingRequest) -> None:
    violations = [
        FieldViolation(field, "is required")
        for field in ("viewer", "purpose", "audit_entry")
        if not getattr(request, field).strip()
    ]
    if request.viewer.strip() and "/" not in request.viewer:
        violations.append(FieldViolation("viewer", "must be an identity path, e.g. operator/mrossi"))
    if OPTIC_NAME.fullmatch(request.optic) is None:
        violations.append(FieldViolation("optic", "must look like devices/{device}/optics/{optic}"))
    lifetime = request.token_lifetime.ToTimedelta().total_seconds()
    if not 0 <= lifetime <= LONGEST_TOKEN_SECONDS:
        violations.append(FieldViolation("token_lifetime", f"must be from 0 to {LONGEST_TOKEN_SECONDS:.0f} s"))
    if violations:
        raise _refusal(*violations)


def _refusal(*violations: FieldViolation) -> InvalidArgument:
    return InvalidArgument("the request cannot be used", reason="INVALID_VIEWING_REQUEST", violations=violations)
