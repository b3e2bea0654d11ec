"""An identity provider over HTTP: discovery, keys, authorization code with PKCE; whoever comes is signed in at once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from mesh.http import serve_web
from mesh.local.issuer import LocalIssuer


class Provider:
    """What it hands out is up to the test."""

    def __init__(self, folder: Path, address: str) -> None:
        self.issuer = LocalIssuer(folder, issuer=f"http://{address}/realm")
        self.person, self.roles, self.claims = "rossi", ["operator"], dict[str, Any]()
        self.refuses = False
        self.nonce: str | None = None
        self._codes: dict[str, dict[str, str]] = {}

    async def document(self, _request: web.Request) -> web.Response:
        issuer = self.issuer.issuer
        return web.json_response(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/jwks",
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
            }
        )

    async def keys(self, _request: web.Request) -> web.Response:
        return web.json_response(dict(self.issuer.keys))

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        answer = {"error": "access_denied", "state": asked["state"]}
        if not self.refuses:
            code = secrets.token_urlsafe(16)
            self._codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = datetime.now(UTC)
        nonce = self.nonce or asked["nonce"]
        return web.json_response(
            {
                "token_type": "Bearer",
                "access_token": self.issuer.issue(self.person, self.roles, now, **self.claims),
                "id_token": self.issuer.issue(self.person, [], now, aud=asked["client_id"], nonce=nonce),
            }
        )


@asynccontextmanager
async def identity_provider(folder: Path) -> AsyncIterator[Provider]:
    """A provider for the block."""
    made: list[Provider] = []

    def handler(name: str) -> Any:
        async def answer(request: web.Request) -> web.Response:
            response: web.Response = await getattr(made[0], name)(request)
            return response

        return answer

    application = web.Application()
    application.add_routes(
        [
            web.get("/realm/.well-known/openid-configuration", handler("document")),
            web.get("/realm/jwks", handler("keys")),
            web.get("/realm/authorize", handler("authorize")),
            web.post("/realm/token", handler("token")),
        ]
    )
    async with serve_web(application, "127.0.0.1:0", grace_seconds=0.1) as address:
        made.append(Provider(folder, address))
        yield made[0]
