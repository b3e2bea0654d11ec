"""An authority's web server: takes dispatches over HTTPS, verifies them by others' code, and can misbehave."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from mesh.tls import TlsFiles

standardwebhooks = pytest.importorskip("standardwebhooks", reason="is not installed: run make setup")

Misbehaviour = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Receiver:
    """What came, and what took effect: a message with an id that was there before has none.

    Attributes:
        misbehaviours: for the next requests, one each; none: it behaves.
        requests: how many requests came.
        effects: bodies by message id, in the order in which they took effect.
    """

    def __init__(self, secret: str) -> None:
        self._verifier = standardwebhooks.Webhook(secret)
        self.misbehaviours: list[Misbehaviour] = []
        self.requests = 0
        self.effects: dict[str, bytes] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        # Raises when the signature is wrong or the time is not about now.
        self._verifier.verify(body, dict(request.headers), json_parse=False)
        answer = None
        if self.misbehaviours:
            answer = await self.misbehaviours.pop(0)(request)
            if answer is not None:
                return answer
        self.effects.setdefault(request.headers["webhook-id"], body)
        return web.Response(status=204)


async def fails(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def is_busy(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "120"})


async def never_answers(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def redirects(request: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": str(request.url.with_path("/elsewhere"))})


async def drips(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def serving(receiver: Receiver, files: TlsFiles) -> AsyncIterator[Receiver]:
    """The server on loopback, over TLS with a certificate for 127.0.0.1."""
    application = web.Application()
    application.router.add_post("/alerts", receiver.handle)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"https://127.0.0.1:{port}/alerts"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def secret_file(
    path: Path, url: str, secret: str, form: str = "json", more: Mapping[str, object] | None = None
) -> Path:
    """A file of webhooks with one."""
    path.write_text(json.dumps({"questura": {"url": url, "secret": secret, "format": form, **(more or {})}}))
    return path
