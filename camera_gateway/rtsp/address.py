"""Where a camera is, and whether it may be dialled there."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import socket
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from camera_gateway.domain import networks

DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
ENCRYPTED: Final = frozenset({"rtsps", "https"})

Resolver = Callable[[str], Awaitable[Sequence[str]]]


async def resolve(host: str) -> Sequence[str]:
    """The addresses of ``host`` by the system's resolver; an IP address is its own.

    Raises:
        OSError: the name is not known.
    """
    with contextlib.suppress(ValueError):
        # Asking takes a thread of a few: while names are not answered, cameras with an address must not wait for one.
        return [str(ipaddress.ip_address(host))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except UnicodeError:
        raise OSError("not a host name") from None
    return [str(address[4][0]) for address in found]


@dataclasses.dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where a camera's stream is: scheme, host name or IP address, TCP port, and path with query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The URL; holds no credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = urllib.parse.quote(self.path.lstrip("/"), safe="/?:@&=+$,;~*'()!%[]")
        return f"{self.scheme}://{host}:{self.port}/{path}"

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.scheme in ENCRYPTED

    def redirected(self, location: str) -> CameraAddress:
        """Where ``location`` of a redirect points to; credentials in it are left out.

        Raises:
            ValueError: not a URL of the same protocol with a host, or one that would give encryption up.
        """
        parts = urllib.parse.urlsplit(location)
        if parts.scheme not in (self.scheme, f"{self.scheme}s") or not parts.hostname:
            raise ValueError("not a URL of the same protocol")
        query = f"?{parts.query}" if parts.query else ""
        return CameraAddress(
            parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme], parts.path + query
        )

    @classmethod
    def of_device(cls, scheme: str, address: str, path: str) -> CameraAddress:
        """A device's address as the registry has it: ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address.

        Raises:
            ValueError: there is no host, or the port is no number.
        """
        if not address:
            raise ValueError("no host")
        if address.startswith("["):
            host, _, rest = address[1:].partition("]")
            port = int(rest[1:]) if rest.startswith(":") else DEFAULT_PORTS[scheme]
        elif address.count(":") == 1:
            host, _, text = address.partition(":")
            port = int(text)
        else:
            host, port = address, DEFAULT_PORTS[scheme]
        return cls(scheme, host, port, path)


class Dialling:
    """Finds the address to dial, inside the camera networks.

    The address that was checked is the one that is dialled: a name that changes its mind changes nothing.

    Args:
        allowed: the camera networks.
        resolver: from a host name to IP addresses.
    """

    def __init__(self, allowed: Sequence[networks.Network], resolver: Resolver = resolve) -> None:
        self._allowed = allowed
        self._resolver = resolver

    async def check(self, host: str) -> str:
        """The IP address to dial for ``host``.

        Raises:
            AddressRefusedError: an address of the host is outside the camera networks.
            OSError: the name is not known.
        """
        return networks.choose(host, await self._resolver(host), self._allowed)

    async def check_url(self, url: str, dialled: CameraAddress) -> None:
        """A URL that a camera names itself is held to the same rule, although nothing but the camera is ever dialled.

        Raises:
            AddressRefusedError: its host is outside the camera networks.
            OSError: its host is not known.
            ValueError: it cannot be read.
        """
        host = urllib.parse.urlsplit(url).hostname
        if host is not None and host != dialled.host.lower():
            await self.check(host)
