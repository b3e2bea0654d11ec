"""The gateway's own API: what each optic is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
    add_GatewayServiceServicer_to_server,
)
from argo.camera_gateway.v1.media_service_pb2_grpc import add_MediaServiceServicer_to_server
from mesh.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from camera_gateway.fleet import Fleet
    from camera_gateway.media import MediaService
    from mesh.rpc.server import GrpcServer

DEFAULT_PAGE: Final = 50
LARGEST_PAGE: Final = 1000
WATCH_SECONDS: Final = 1.0
"""Counters move all the time; a watcher sees them this often."""


class GatewayService(GatewayServiceServicer):
    """Answers for the fleet of this replica."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def ListSessions(  # noqa: N802  # the contract's name
        self,
        request: gateway.ListSessionsRequest,
        _context: grpc.aio.ServicerContext[gateway.ListSessionsRequest, gateway.ListSessionsResponse],
    ) -> gateway.ListSessionsResponse:
        """Lists sessions.

        Raises:
            InvalidArgument: PAGE_SIZE_NEGATIVE.
        """
        size = _page_size(request.page_size)
        # The token is the last optic of the page before: a session that ends meanwhile shifts nothing.
        after = [session for session in self._fleet.sessions if session.optic > request.page_token]
        page, more = after[:size], len(after) > size
        now = time.time()
        return gateway.ListSessionsResponse(
            sessions=[session.describe(now) for session in page], next_page_token=page[-1].optic if more else ""
        )

    async def WatchSessions(  # noqa: N802  # the contract's name
        self,
        request: gateway.WatchSessionsRequest,
        _context: grpc.aio.ServicerContext[gateway.WatchSessionsRequest, gateway.WatchSessionsResponse],
    ) -> AsyncIterator[gateway.WatchSessionsResponse]:
        """Streams sessions: a snapshot, each change at once, and all of them every second."""
        with self._fleet.watching(request.optics) as watch:
            whole, ended, due = True, set[str](), 0.0
            changed: set[str] = set()
            while True:
                now = time.time()
                shown = [
                    session.describe(now)
                    for session in self._fleet.sessions
                    if (whole and watch.covers(session.optic)) or session.optic in changed
                ]
                if whole or shown or ended:
                    yield gateway.WatchSessionsResponse(sessions=shown, ended=sorted(ended))
                due = now + WATCH_SECONDS if whole else due
                changed, ended = await watch.next(max(0.0, due - time.time()))
                whole = time.time() >= due


def register(server: GrpcServer, gateway_service: GatewayService, media_service: MediaService) -> None:
    """Serve the gateway's two services under its policy."""
    package = "argo.camera_gateway.v1"
    server.add(add_GatewayServiceServicer_to_server, gateway_service, f"{package}.GatewayService")
    server.add(add_MediaServiceServicer_to_server, media_service, f"{package}.MediaService")


def _page_size(requested: int) -> int:
    if requested < 0:
        raise InvalidArgument(
            "page_size must not be negative",
            reason="PAGE_SIZE_NEGATIVE",
            violations=[FieldViolation("page_size", "must be 0 (the default) or more")],
        )
    return min(requested, LARGEST_PAGE) if requested else DEFAULT_PAGE
