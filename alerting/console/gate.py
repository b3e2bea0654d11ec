"""What stands before every handler of the console: response headers, sessions, forged requests, plain errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from alerting.console.routes import SIGNED_IN, row_of
from alerting.console.sessions import Session, Sessions
from mesh.access import matrix
from mesh.access.admission import RightsTaken, admit
from mesh.errors import ArgoError, PermissionDenied, Unauthenticated
from mesh.identity import Identity, acting_as

if TYPE_CHECKING:
    from mesh.access.tokens import TokenVerifier

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION: web.RequestKey[Session] = web.RequestKey("session", Session)
CSRF_HEADER = "X-CSRF-Token"
OPEN_PATHS = ("/static/", "/sign-in", "/signed-in", "/open/")
_SAFE_METHODS = ("GET", "HEAD")

HTTP_STATUS: Mapping[str, int] = MappingProxyType(
    {
        "INVALID_ARGUMENT": 400,
        "OUT_OF_RANGE": 400,
        "FAILED_PRECONDITION": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "ABORTED": 409,
        "RESOURCE_EXHAUSTED": 429,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
    }
)
"""HTTP statuses of gRPC codes, as ``google/rpc/code.proto`` pairs them."""


def cookie_name(*, secure: bool) -> str:
    """The ``__Host-`` prefix has browsers refuse the cookie from anywhere but this very host, over TLS."""
    return "__Host-argo_session" if secure else "argo_session"


def response_headers(connect_origins: tuple[str, ...]) -> Mapping[str, str]:
    """The headers of every response.

    Args:
        connect_origins: origins that live video comes from; the page can reach these and its own, and no other.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "media-src": "'self'",
        "connect-src": " ".join(("'self'", *connect_origins)),
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return MappingProxyType(
        {
            "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        }
    )


@dataclass(frozen=True)
class Believed:
    """What is believed beside sessions.

    Attributes:
        console: the console's own identity, which carries people's tokens.
        tokens: verifies them; none: none are accepted.
        rights_taken: who has broken the glass.
    """

    console: Identity
    tokens: TokenVerifier | None
    rights_taken: RightsTaken


class Gate:
    """The middlewares."""

    def __init__(
        self,
        sessions: Sessions | None,
        headers: Mapping[str, str],
        refuse_page: Callable[[], web.Response],
        clock: Callable[[], datetime],
        *,
        believed: Believed,
        secure: bool,
    ) -> None:
        """Takes what it works with.

        Args:
            sessions: none when nobody can sign in.
            headers: of every response.
            refuse_page: makes the page for somebody without a session.
            clock: tells the time, in UTC.
            believed: what is believed beside sessions.
            secure: whether the console is served over TLS only.
        """
        self._sessions = sessions
        self._headers = headers
        self._refuse_page = refuse_page
        self._clock = clock
        self._cookie = cookie_name(secure=secure)
        self._believed = believed

    async def add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Adds the headers before a response is sent, also to streams and errors."""
        response.headers.update(self._headers)
        response.headers.pop("Server", None)

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets in who has a session or a token and whom the permission matrix admits to the route.

        It changes only what the session's own page asks for; a token is no cookie, that another page could use.
        """
        if request.path.startswith(OPEN_PATHS):
            return await handler(request)
        by_token = await self._by_token(request)
        session = by_token or self.session_of(request)
        if session is None and request.path == "/" and "token" in request.query:
            return await handler(request)
        if session is None:
            if request.path.startswith("/api/"):
                raise Unauthenticated("sign in by the console's link first", reason="SESSION_MISSING")
            return self._refuse_page()
        if request.method not in _SAFE_METHODS and by_token is None:
            self._check_origin(request, session)
        request[SESSION] = session
        return await self._act(request, handler, session)

    async def _act(self, request: web.Request, handler: Handler, session: Session) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is None:
            return await handler(request)
        route = ("GET" if request.method == "HEAD" else request.method, resource.canonical)
        caller = session.caller
        if route in SIGNED_IN:
            acting = caller.identities[0]
        else:
            method, through = row_of(*route)
            try:
                acting, caller = await admit(matrix(), caller, method, self._believed.rights_taken, through=through)
            except PermissionDenied as error:
                log.warning("access.refused", method=method, reason=error.reason)
                raise
        with acting_as(acting, replace(caller.grant, taken=caller.taken)):
            return await handler(request)

    async def _by_token(self, request: web.Request) -> Session | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if self._believed.tokens is None:
            raise Unauthenticated("no tokens are accepted here", reason="TOKENS_NOT_ACCEPTED")
        caller = await self._believed.tokens.verify(token.strip(), self._believed.console)
        expires = caller.grant.expires
        assert expires is not None
        return Session(caller, expires, "")

    @web.middleware
    async def answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns errors into JSON that says what and why, and nothing of the inside."""
        try:
            return await handler(request)
        except ArgoError as error:
            return web.json_response(describe_error(error), status=HTTP_STATUS.get(error.code, 500))
        except (web.HTTPException, ConnectionResetError):
            raise
        except Exception:
            log.exception("console.failed", method=request.method, path=request.match_info.route.name)
            internal = {"code": "INTERNAL", "reason": "INTERNAL", "message": "internal error"}
            return web.json_response({"error": internal}, status=500)

    def session_of(self, request: web.Request) -> Session | None:
        """Whose request it is; none when there is no valid session."""
        cookie = request.cookies.get(self._cookie)
        if self._sessions is None or not cookie:
            return None
        return self._sessions.read(cookie, self._clock())

    def _check_origin(self, request: web.Request, session: Session) -> None:
        # A browser always tells the origin of a POST; behind a proxy the scheme is the proxy's.
        origin = request.headers.get("Origin", "").partition("://")[2]
        token = request.headers.get(CSRF_HEADER, "")
        if self._sessions is None or origin != request.host or not self._sessions.is_csrf_token(session, token):
            raise PermissionDenied("the request does not come from the console's own page", reason="FORGED_REQUEST")


def describe_error(error: ArgoError) -> dict[str, object]:
    """An error as the page gets it."""
    wrong = [{"field": one.field, "description": one.description} for one in error.violations]
    said = {"code": error.code, "reason": error.reason, "message": error.message}
    return {"error": said | ({"violations": wrong} if wrong else {})}
