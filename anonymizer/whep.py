"""WHEP (draft-ietf-wish-whep): how a viewer begins and ends a session, over HTTP.

``POST /whep/{device}/{optic}`` with an SDP offer and the bearer token of a viewing is answered with 201, an SDP answer
and the session's resource; DELETE on it with the same token ends the session. Only the console's origin may call from a
browser. ``GET /still/{device}/{optic}`` with such a token gives one JPEG instead of a session.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import hdrs, web

from anonymizer.fanout import FanOut
from anonymizer.liveview import FanOuts, MarkedPictures, Session
from anonymizer.watermark import Watermark, still
from mesh.errors import ArgoError, NotFound

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.broadcast import Broadcast, Broadcasts
    from anonymizer.domain.viewing import Viewing, ViewingBook
    from anonymizer.metrics import AnonymizerMetrics

log = structlog.get_logger(__name__)

MAX_OFFER_BYTES: Final = 64 * 1024
_SDP: Final = "application/sdp"
_STATUS: Final = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WhepEndpoint:
    """The HTTP side of the live view.

    Args:
        book: the permissions to watch.
        broadcasts: the live pictures.
        metrics: counts viewers.
        console_origin: the origin from which browsers may call, e.g. "https://console.example"; None: none.
        executor: where pictures with a watermark are made.
    """

    def __init__(
        self,
        book: ViewingBook,
        broadcasts: Broadcasts,
        metrics: AnonymizerMetrics,
        console_origin: str | None,
        executor: Executor,
    ) -> None:
        self._executor = executor
        self._book = book
        self._broadcasts = broadcasts
        self._metrics = metrics
        self._console_origin = console_origin
        self._fan_outs = FanOuts()
        self._sessions: dict[str, tuple[Session, asyncio.Task[None]]] = {}

    def application(self) -> web.Application:
        """The routes."""

        @web.middleware
        async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        application = web.Application(client_max_size=MAX_OFFER_BYTES, middlewares=[guard])
        application.router.add_post("/whep/{device}/{optic}", self._begin)
        application.router.add_get("/still/{device}/{optic}", self._still)
        application.router.add_options("/still/{device}/{optic}", self._options)
        application.router.add_delete("/whep/{device}/{optic}/{viewing}", self._end)
        application.router.add_options("/whep/{device}/{optic}", self._options)
        application.router.add_options("/whep/{device}/{optic}/{viewing}", self._options)
        application.on_shutdown.append(lambda _: self.close())
        return application

    async def close(self) -> None:
        """Ends every session."""
        held = list(self._sessions.values())
        for session, _ in held:
            session.end()
        await asyncio.gather(*(task for _, task in held), return_exceptions=True)

    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Turns our errors into statuses, and lets only the console's origin read answers."""
        try:
            response = await handler(request)
        except ArgoError as error:
            response = web.Response(status=_STATUS.get(error.code, 400), text=error.message)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=error.text)
        if response.status == web.HTTPUnauthorized.status_code:
            response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        if self._console_origin is not None and request.headers.get(hdrs.ORIGIN) == self._console_origin:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = self._console_origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = "Location"
        response.headers[hdrs.VARY] = "Origin"
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response

    async def _begin(self, request: web.Request) -> web.Response:
        if request.content_type != _SDP:
            raise web.HTTPUnsupportedMediaType(text=f"send an SDP offer as {_SDP}")
        optic = _optic(request)
        viewing, broadcast = self._watched(request, optic)
        session = Session(self._shown(viewing, broadcast))
        task = asyncio.create_task(self._last(session, viewing.name, optic), name=viewing.name)
        self._sessions[viewing.name] = (session, task)
        try:
            answer = await session.answer(await request.text())
        except Exception as error:  # noqa: BLE001 - aiortc raises whatever its parser stumbles over
            session.end()
            log.info("live_view.offer_refused", optic=optic, error=type(error).__name__)
            raise web.HTTPBadRequest(text="the offer cannot be used: ask for H.264 video") from None
        location = f"{request.path}/{viewing.name.removeprefix('viewings/')}"
        return web.Response(status=201, text=answer, content_type=_SDP, headers={hdrs.LOCATION: location})

    async def _still(self, request: web.Request) -> web.Response:
        """One picture; the token is spent on it."""
        optic = _optic(request)
        viewing, broadcast = self._watched(request, optic)
        group = broadcast.group
        self._book.end(viewing.name)
        if not group:
            raise _no_picture(optic)
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(self._executor, still, group, Watermark(viewing.viewer, optic))
        log.info("live_view.still_given", optic=optic, viewing=viewing.name)
        return web.Response(body=content, content_type="image/jpeg")

    def _watched(self, request: web.Request, optic: str) -> tuple[Viewing, Broadcast]:
        """Begins the viewing that the request's token permits."""
        viewing = self._book.begin(_token(request), optic, time.time())
        broadcast = self._broadcasts.find(optic)
        if broadcast is None:
            self._book.end(viewing.name)
            raise _no_picture(optic)
        return viewing, broadcast

    def _shown(self, viewing: Viewing, broadcast: Broadcast) -> FanOut:
        """What everybody shares, or pictures of the viewer's own where no page puts a watermark over them."""
        if viewing.by_page:
            return self._fan_outs.of(broadcast)
        watermark = Watermark(viewing.viewer, broadcast.optic)
        return FanOut(broadcast, lambda subscription: MarkedPictures(subscription, watermark, self._executor))

    async def _last(self, session: Session, name: str, optic: str) -> None:
        log.info("live_view.session_started", optic=optic, viewing=name)
        begun = time.monotonic()
        try:
            with self._metrics.viewers.labels(optic).track_inprogress():
                await session.run()
        finally:
            self._book.end(name)
            self._sessions.pop(name, None)
            log.info("live_view.session_ended", optic=optic, viewing=name, seconds=round(time.monotonic() - begun, 1))

    async def _end(self, request: web.Request) -> web.Response:
        name = f"viewings/{request.match_info['viewing']}"
        viewing = self._book.holder(_token(request), name)
        held = self._sessions.get(name)
        if viewing.optic != _optic(request) or held is None:
            raise NotFound("no such session", reason="VIEWING_NOT_FOUND")
        session, task = held
        session.end()
        await asyncio.wait([task])
        return web.Response(status=200)

    async def _options(self, _request: web.Request) -> web.Response:
        headers = {
            "Accept-Post": _SDP,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, DELETE, OPTIONS",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type",
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        }
        return web.Response(status=204, headers=headers)


def _no_picture(optic: str) -> NotFound:
    return NotFound("the optic has no live picture now", reason="NO_LIVE_PICTURE", metadata={"optic": optic})


def _optic(request: web.Request) -> str:
    return f"devices/{request.match_info['device']}/optics/{request.match_info['optic']}"


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
