"""The page itself, its parts, and the way in."""

from __future__ import annotations

import importlib.resources
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlencode

import structlog
from aiohttp import web

from alerting.console.gate import SESSION, cookie_name
from alerting.console.sessions import Session, Sessions
from alerting.store.sign_ins import SignInStore

log = structlog.get_logger()

_CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
)


def load_static() -> Mapping[str, bytes]:
    """Every file of the page by its name, from the package."""
    folder = importlib.resources.files("alerting.console") / "static"
    return MappingProxyType(
        {
            entry.name: entry.read_bytes()
            for entry in folder.iterdir()
            if entry.name.rsplit(".", 1)[-1] in _CONTENT_TYPES
        }
    )


class Pages:
    """Handlers of the page and of signing in."""

    def __init__(
        self,
        sessions: Sessions | None,
        sign_ins: SignInStore,
        clock: Callable[[], datetime],
        *,
        secure: bool,
        elsewhere: str | None = None,
    ) -> None:
        """Takes what it works with.

        Args:
            sessions: none when nobody can sign in.
            sign_ins: links that were used.
            clock: tells the time, in UTC.
            secure: whether the console is served over TLS only.
            elsewhere: path of the way to the identity provider; none: people sign in by the link.
        """
        self._sessions = sessions
        self._elsewhere = elsewhere
        self._sign_ins = sign_ins
        self._clock = clock
        self._secure = secure
        self._static = load_static()

    async def index(self, request: web.Request) -> web.Response:
        """The page; or, by the link that was printed at the start, the way in: it works once."""
        if "token" not in request.query:
            return self._file("index.html")
        if SESSION in request:
            # Somebody who is signed in opens the link again: nothing is used up.
            return _to_page(request)
        return await self._sign_in(request)

    async def static(self, request: web.Request) -> web.Response:
        """A part of the page; holds no data."""
        name = request.match_info["name"]
        if name not in self._static or name.endswith(".html"):
            raise web.HTTPNotFound
        return self._file(name)

    async def _sign_in(self, request: web.Request) -> web.Response:
        # Where people sign in at their provider the link, which names nobody, opens nothing.
        if self._elsewhere is not None:
            return self.refuse()
        if self._sessions is None or not self._sessions.is_link(request.query.get("token", "")):
            log.warning("console.sign_in_refused", error_reason="WRONG_LINK")
            return self.refuse()
        now = self._clock()
        if not await self._sign_ins.use(self._sessions.link_digest, now):
            log.warning("console.sign_in_refused", error_reason="LINK_USED")
            return self.refuse()
        session = self._sessions.begin(now, secrets.token_urlsafe(16))
        response = _to_page(request)
        self.start(response, session)
        log.info("console.signed_in")
        return response

    def start(self, response: web.Response, session: Session) -> None:
        """Puts a session into a response."""
        assert self._sessions is not None
        response.set_cookie(
            cookie_name(secure=self._secure),
            self._sessions.cookie(session),
            max_age=int((session.expires - self._clock()).total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Strict",
        )

    async def logout(self, _request: web.Request) -> web.Response:
        """Ends the session of this browser."""
        response = web.json_response({})
        response.del_cookie(cookie_name(secure=self._secure), path="/", secure=self._secure, httponly=True)
        return response

    def refuse(self) -> web.Response:
        """For somebody without a session: on to the identity provider, or the page that says what to do."""
        if self._elsewhere is not None:
            return web.Response(status=303, headers={"Location": self._elsewhere})
        return self._file("signed-out.html", status=401)

    def _file(self, name: str, status: int = 200) -> web.Response:
        return web.Response(
            body=self._static[name],
            status=status,
            content_type=_CONTENT_TYPES[name.rsplit(".", 1)[-1]],
            charset="utf-8",
        )


def _to_page(request: web.Request) -> web.Response:
    """On to the page, without the secret in its address."""
    purpose = request.query.get("purpose", "")
    location = "/?" + urlencode({"purpose": purpose}) if purpose else "/"
    return web.Response(status=303, headers={"Location": location})
