"""The keys of a provider over HTTP: whatever pieces they come in, and however long they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from mesh.access import TokenSettings
from mesh.access.keys import reader


class Provider:
    """Answers with a document, piece by piece."""

    def __init__(self) -> None:
        self.document = b"{}"
        self.piece = 1024
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for first in range(0, len(self.document), self.piece):
            await response.write(self.document[first : first + self.piece])
            # What was written so far is read before the next piece is there.
            await asyncio.sleep(0.01)
        return response


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    application = web.Application()
    application.router.add_get("/keys", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield made
    await runner.cleanup()


def settings(provider: Provider) -> TokenSettings:
    return TokenSettings.model_construct(oidc_issuer="http://127.0.0.1/", oidc_jwks_url=provider.url, oidc_ca=None)


async def test_keys_that_come_in_pieces_are_read_whole(provider: Provider) -> None:
    keys = {"keys": [{"kid": str(number), "n": "x" * 300} for number in range(20)]}
    provider.document = json.dumps(keys).encode()

    assert await reader(settings(provider))() == keys


async def test_a_document_without_end_is_given_up(provider: Provider) -> None:
    provider.document, provider.piece = b" " * (2 * 1024 * 1024), 128 * 1024

    with pytest.raises(ValueError, match="too long"):
        await reader(settings(provider))()
