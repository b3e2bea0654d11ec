"""The authorities' webhooks, signed as the Standard Webhooks specification says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import aiohttp
import aiohttp.abc
import pydantic
from yarl import URL

from mesh.errors import StartupError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_PREFIX = "whsec_"  # noqa: S105 - says what follows
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64
_LONGEST_ANSWER = 64 * 1024


class Webhook(pydantic.BaseModel):
    """Where one authority wants its dispatches.

    Attributes:
        url: https only; its host must lie in the authorities' networks.
        secret: ``whsec_`` and 24 to 64 bytes in base64.
        former_secret: the one before; requests are signed with it, too, until the recipient has changed.
        format: of the body.
        event_codes: by the name of a list of codes that the authority uses, its code of each topic; see CAP's
            ``eventCode``.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    secret: pydantic.SecretStr
    former_secret: pydantic.SecretStr | None = None
    format: Literal["cap", "json"] = "cap"
    event_codes: dict[str, dict[str, str]] = pydantic.Field(default_factory=dict)

    @pydantic.field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parsed = URL(url)
        if parsed.scheme != "https" or not parsed.host or parsed.user or parsed.fragment:
            raise ValueError("must be https://host/path, without a user")
        return url

    @pydantic.field_validator("secret", "former_secret")
    @classmethod
    def _secret(cls, secret: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        if secret is not None and not _SHORTEST_SECRET <= len(_key(secret)) <= _LONGEST_SECRET:
            raise ValueError(f"must be {_SHORTEST_SECRET} to {_LONGEST_SECRET} bytes in base64 after {SECRET_PREFIX}")
        return secret

    @property
    def secrets(self) -> Sequence[pydantic.SecretStr]:
        """All that requests are signed with, the newest first."""
        return (self.secret,) if self.former_secret is None else (self.secret, self.former_secret)


Webhooks = Mapping[str, Webhook]
"""By the name of the authority."""

_FILE = pydantic.TypeAdapter(dict[str, Webhook])


def read_webhooks(path: Path | None, authorities: Iterable[str]) -> Webhooks:
    """Reads the file of the webhooks.

    Raises:
        StartupError: it cannot be read, is not valid, or names somebody who is no authority.
    """
    if path is None:
        return {}
    advice = "see docs/dispatch.md for the file's form"
    try:
        webhooks = _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise StartupError(f"the webhooks' file cannot be read ({type(error).__name__})", advice) from None
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise StartupError(f"the webhooks' file is not valid: {faults}", advice) from None
    unknown = sorted(set(webhooks) - set(authorities))
    if unknown:
        raise StartupError(f"the webhooks' file names {', '.join(unknown)}: not in ARGO_AUTHORITIES", advice)
    return webhooks


@dataclass(frozen=True)
class Answer:
    """What came of handing something over.

    Attributes:
        problem: why it was not taken; empty: it was.
        retry_after: what the other side asked for; nothing: it did not.
    """

    problem: str = ""
    retry_after: timedelta = timedelta(0)


def sign(webhook: Webhook, message_id: str, time: datetime, body: bytes) -> dict[str, str]:
    """The three headers by which the recipient knows the sender, the time, and a repetition."""
    seconds = str(int(time.timestamp()))
    content = b".".join((message_id.encode(), seconds.encode(), body))
    signatures = (hmac.digest(_key(secret), content, hashlib.sha256) for secret in webhook.secrets)
    words = " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures)
    return {"webhook-id": message_id, "webhook-timestamp": seconds, "webhook-signature": words}


class AuthorityNetworks(aiohttp.abc.AbstractResolver):
    """Resolves hosts to addresses inside the authorities' networks, and to no other."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._resolver = aiohttp.ThreadedResolver()

    def allows(self, address: str) -> bool:
        """Whether an address lies in one of them."""
        parsed = ipaddress.ip_address(address)
        return any(parsed.version == network.version and parsed in network for network in self._networks)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """The addresses that are allowed; the one that was checked is the one that is dialled."""
        found = await self._resolver.resolve(host, port, family)
        allowed = [result for result in found if self.allows(result["host"])]
        if not allowed:
            raise OSError("no address of the host lies in the authorities' networks")
        return allowed

    async def close(self) -> None:
        """Nothing is held."""


class WebhookClient:
    """Hands dispatches to webhooks over verified TLS. Redirects are not followed."""

    def __init__(self, networks: tuple[Network, ...], *, ca: Path | None, timeout_seconds: float) -> None:
        self._networks = AuthorityNetworks(networks)
        self._context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def post(self, webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Answer:
        """Sends one request; whatever goes wrong is said in a word or two, never with an address or a body."""
        host = URL(webhook.url).host or ""
        if _is_address(host) and not self._networks.allows(host):
            return Answer("outside the authorities' networks")
        connector = aiohttp.TCPConnector(ssl=self._context, resolver=self._networks, use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session:
            try:
                async with session.post(
                    webhook.url, data=body, headers=dict(headers), allow_redirects=False
                ) as response:
                    await _drain(response)
                    return _answer(response)
            except (aiohttp.ClientError, OSError) as error:
                return Answer(_problem(error))


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Reads to the end, within bounds: a connection that is cut in the middle has not said yes."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _LONGEST_ANSWER:
            return


def _problem(error: Exception) -> str:
    problems: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "no answer in time"),
        (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
        (aiohttp.ClientSSLError, "TLS failed"),
        (aiohttp.ClientConnectorError, "cannot be reached"),
    )
    return next((words for kind, words in problems if isinstance(error, kind)), f"broken off ({type(error).__name__})")


def _answer(response: aiohttp.ClientResponse) -> Answer:
    if 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's own
        return Answer()
    after = response.headers.get("Retry-After", "")
    problem = "redirected, not followed" if 300 <= response.status < 400 else "refused"  # noqa: PLR2004
    seconds = int(after) if after.isascii() and after.isdecimal() and len(after) < 7 else 0  # noqa: PLR2004
    return Answer(f"{problem} (HTTP {response.status})", timedelta(seconds=seconds))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _key(secret: pydantic.SecretStr) -> bytes:
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""
