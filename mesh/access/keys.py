"""The keys of the provider of tokens: read, kept for a while, and used on while the provider is away."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import aiohttp
import jwt
import structlog

from mesh.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    from mesh.access.settings import TokenSettings

log = structlog.get_logger()

_LARGEST_DOCUMENT = 256 * 1024
_PATIENCE = aiohttp.ClientTimeout(total=5)
UNKNOWN_KEY_SECONDS = 10.0
"""A token with an unknown key makes the keys be read again, but not more often than this."""

ReadKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the provider's JSON Web Key Set (RFC 7517, section 5)."""


class ProviderKeys:
    """Finds the key that a token was signed with."""

    def __init__(
        self, read: ReadKeys, clock: Callable[[], float], *, fresh_seconds: float, limit_seconds: float
    ) -> None:
        """Takes what it works with; nothing is read yet.

        Args:
            read: reads the key set.
            clock: a monotonic clock, in seconds.
            fresh_seconds: for so long the keys are used without looking.
            limit_seconds: for so long they are used while they cannot be read again.
        """
        self._read = read
        self._clock = clock
        self._fresh = fresh_seconds
        self._limit = limit_seconds
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._reading = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK:
        """The key with this id; with an empty id the only one.

        Raises:
            Unauthenticated: the provider has no such key (``TOKEN_KEY_UNKNOWN``).
            Unavailable: its keys could not be read, for longer than the limit (``TOKEN_KEYS_UNAVAILABLE``).
        """
        async with self._reading:
            if self._is_older_than(self._fresh) and self._may_try():
                await self._refresh()
            if self._is_older_than(self._limit):
                raise Unavailable("the keys of the tokens' provider cannot be read", reason="TOKEN_KEYS_UNAVAILABLE")
            if self._known(key_id) is None and self._may_try():
                await self._refresh()
            key = self._known(key_id)
        if key is None:
            raise Unauthenticated(
                "the token is signed with a key that its provider does not show", reason="TOKEN_KEY_UNKNOWN"
            )
        return key

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        if key_id:
            return self._keys.get(key_id)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _is_older_than(self, seconds: float) -> bool:
        return self._read_at is None or self._clock() - self._read_at >= seconds

    def _may_try(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= UNKNOWN_KEY_SECONDS

    async def _refresh(self) -> None:
        away = self._tried_at is not None and self._tried_at != self._read_at
        self._tried_at = self._clock()
        try:
            keys = public_keys(await self._read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if not away:
                log.warning("tokens.provider_lost", error_reason=type(error).__name__)
            return
        if away:
            log.info("tokens.provider_recovered")
        if keys.keys() != self._keys.keys():
            log.info("tokens.keys_changed", keys=sorted(keys))
        self._keys, self._read_at = keys, self._tried_at


def public_keys(document: Mapping[str, Any]) -> Mapping[str, jwt.PyJWK]:
    """The keys of a set that verify signatures, by their ids; what is secret, or of another kind, is left out.

    Raises:
        ValueError: it is no key set.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004 - what was read has a wrong value
    found = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
            continue
        try:
            found[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            # Of a kind that is not known here; no token with it will be.
            continue
    return found


def reader(settings: TokenSettings) -> ReadKeys:
    """Reads the keys from where a service is told, or from where the provider's discovery document says."""
    issuer, url = settings.oidc_issuer or "", settings.oidc_jwks_url

    async def read() -> Mapping[str, Any]:
        if url is not None and url.startswith("file://"):
            return _object(await asyncio.to_thread(Path(unquote(urlsplit(url).path)).read_bytes))
        async with provider_session(settings) as session:
            return await _get(session, url or await jwks_uri(session, issuer))

    return read


@asynccontextmanager
async def provider_session(settings: TokenSettings) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP with the provider: a few seconds of patience, and the authority of its certificate."""
    context = ssl.create_default_context(cafile=str(settings.oidc_ca) if settings.oidc_ca is not None else None)
    async with aiohttp.ClientSession(timeout=_PATIENCE, connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def discover(session: aiohttp.ClientSession, issuer: str) -> Mapping[str, Any]:
    """The provider's discovery document (OpenID Connect Discovery 1.0, section 4).

    Raises:
        ValueError: it is of another issuer.
    """
    document = await _get(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise ValueError("the discovery document is of another issuer")
    return document


async def jwks_uri(session: aiohttp.ClientSession, issuer: str) -> str:
    """Where the provider's keys are.

    Raises:
        ValueError: it does not say so, or they would come over a less safe way than the document itself.
    """
    uri = (await discover(session, issuer)).get("jwks_uri")
    if not isinstance(uri, str) or (issuer.startswith("https:") and not uri.startswith("https:")):
        raise ValueError("the discovery document names no safe jwks_uri")
    return uri


async def _get(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    async with session.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        if response.status != HTTPStatus.OK:
            raise ValueError("the provider answers with a redirection")
        return _object(await _whole(response))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body to its end, however many pieces it comes in.

    Raises:
        ValueError: it is too long for what it should be.
    """
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST_DOCUMENT:
            raise ValueError("the provider's document is too long")
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - likewise
    return document
