"""Signing in at the identity provider: authorization code with PKCE (RFC 6749, RFC 7636, OpenID Connect Core)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import structlog
from aiohttp import web
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

from alerting.console.gate import Believed, cookie_name
from alerting.console.sessions import Session, Sessions
from mesh.access.keys import discover, provider_session
from mesh.errors import ArgoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from alerting.settings import AlertingSettings

log = structlog.get_logger()

SIGN_IN: Final = "/sign-in"
SIGNED_IN: Final = "/signed-in"
_FLOW_LIFETIME: Final = timedelta(minutes=10)
_PURPOSE: Final = b"sign-in"
_SCOPES: Final = "openid profile"
_ONWARD: Final = '<!doctype html><title>ARGO</title><meta http-equiv="refresh" content="0; url=/">'
"""On to the page from our own page: a cookie that is SameSite=Strict does not come along a redirect from elsewhere."""


@dataclass(frozen=True)
class Client:
    """What the provider knows the console as.

    Attributes:
        client_id: its name there.
        secret: its secret there; empty: it has none (a public client).
        url: the console's own address, for example ``"https://console.city.example"``.
    """

    client_id: str
    secret: str
    url: str

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends the browser back to."""
        return f"{self.url.rstrip('/')}{SIGNED_IN}"


class SignIn:
    """Handlers of the way to the provider and back."""

    def __init__(
        self,
        settings: AlertingSettings,
        client: Client,
        sessions: Sessions,
        believed: Believed,
        clock: Callable[[], datetime],
        *,
        start: Callable[[web.Response, Session], None],
    ) -> None:
        """Takes what it works with.

        Args:
            settings: who the provider is.
            client: what the provider knows the console as.
            sessions: makes sessions.
            believed: verifies tokens.
            clock: tells the time, in UTC.
            start: puts a session into a response.
        """
        self._settings = settings
        self._client = client
        self._sessions = sessions
        self._believed = believed
        self._clock = clock
        self._start = start
        self._secure = settings.environment != "local"
        self._cookie = f"{cookie_name(secure=self._secure)}_sign_in"

    async def begin(self, _request: web.Request) -> web.Response:
        """Sends the browser to the provider; what it must bring back is in a sealed cookie."""
        oauth = WebApplicationClient(self._client.client_id)
        state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), oauth.create_code_verifier(64)
        expires = (self._clock() + _FLOW_LIFETIME).timestamp()
        flow = {"state": state, "nonce": nonce, "verifier": verifier, "expires": expires}
        location = oauth.prepare_request_uri(
            await self._endpoint("authorization_endpoint"),
            redirect_uri=self._client.redirect_uri,
            scope=_SCOPES,
            state=state,
            code_challenge=oauth.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
            nonce=nonce,
        )
        response = web.Response(status=303, headers={"Location": location})
        response.set_cookie(
            self._cookie,
            self._sessions.seal(_PURPOSE, flow),
            max_age=int(_FLOW_LIFETIME.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            # The way back is a navigation from the provider's site.
            samesite="Lax",
        )
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """Takes the code that the provider gave the browser, asks for the tokens, and begins a session.

        Raises:
            Unauthenticated: the browser did not begin here, or the provider refuses (``SIGN_IN_FAILED``); or the token
                is not good.
            PermissionDenied: the person has no role here.
            Unavailable: the provider does not answer.
        """
        try:
            caller = await self._exchange(request)
        except ArgoError as error:
            log.warning("console.sign_in_refused", error_reason=error.reason)
            raise
        session = self._sessions.begin(self._clock(), secrets.token_urlsafe(16), caller)
        response = web.Response(text=_ONWARD, content_type="text/html")
        self._start(response, session)
        response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True)
        log.info("console.signed_in")
        return response

    async def _exchange(self, request: web.Request) -> Any:
        flow = self._sessions.unseal(_PURPOSE, request.cookies.get(self._cookie, ""))
        if not isinstance(flow, dict) or flow["expires"] < self._clock().timestamp():
            raise Unauthenticated("begin to sign in again", reason="SIGN_IN_FAILED")
        oauth = WebApplicationClient(self._client.client_id)
        secret: dict[str, Any] = {"client_secret": self._client.secret} if self._client.secret else {}
        try:
            # The address as the browser sees it: a proxy before the console ends TLS.
            oauth.parse_request_uri_response(f"{self._client.redirect_uri}?{request.query_string}", state=flow["state"])
            body = oauth.prepare_request_body(
                code=oauth.code,
                redirect_uri=self._client.redirect_uri,
                code_verifier=flow["verifier"],
                **secret,
            )
            tokens = oauth.parse_request_body_response(await self._post(body))
        except (OAuth2Error, ValueError) as error:
            # The provider's own words may name the person.
            raise Unauthenticated(
                f"the identity provider did not sign you in ({type(error).__name__})", reason="SIGN_IN_FAILED"
            ) from None
        return await self._believe(tokens, flow["nonce"])

    async def _believe(self, tokens: Mapping[str, Any], nonce: str) -> Any:
        verifier = self._believed.tokens
        assert verifier is not None
        said = await verifier.claims(str(tokens.get("id_token", "")), audience=self._client.client_id)
        if not secrets.compare_digest(str(said.get("nonce", "")).encode(), nonce.encode()):
            raise Unauthenticated("the identity provider answers another request", reason="SIGN_IN_FAILED")
        return await verifier.verify(str(tokens["access_token"]), self._believed.console)

    async def _post(self, body: str) -> str:
        url = await self._endpoint("token_endpoint")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            async with provider_session(self._settings) as session:
                answer = await session.post(url, data=body, headers=headers)
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away(error) from error

    async def _endpoint(self, name: str) -> str:
        try:
            async with provider_session(self._settings) as session:
                document = await discover(session, self._settings.oidc_issuer or "")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _away(error) from error
        return str(document.get(name, ""))


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"the identity provider does not answer ({type(error).__name__})", reason="PROVIDER_UNAVAILABLE")
