"""Device addresses: one spelling each, and inside the camera networks (invariant 8)."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

RTSP_PORT = 554
_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class CameraNetworks:
    """Where cameras may be.

    Attributes:
        networks: the segregated networks, IPv4 and IPv6.
        host_names_allowed: whether a device may be named instead of numbered; the gateway then checks what the name
            resolves to.
    """

    networks: tuple[Network, ...]
    host_names_allowed: bool = False

    def admits(self, address: DeviceAddress) -> bool:
        """Whether a device may have this address."""
        if isinstance(address.host, str):
            return self.host_names_allowed
        return any(address.host in network for network in self.networks if network.version == address.host.version)


@dataclass(frozen=True)
class DeviceAddress:
    """Where a device answers.

    Attributes:
        host: an IP address, or a host name in lower case.
        port: TCP port of RTSP.
    """

    host: IpAddress | str
    port: int = RTSP_PORT

    def __str__(self) -> str:
        """The canonical spelling: no default port, IPv6 compressed and, with a port, in brackets."""
        host = str(self.host)
        if self.port == RTSP_PORT:
            return host
        return f"[{host}]:{self.port}" if isinstance(self.host, ipaddress.IPv6Address) else f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> DeviceAddress:
        """Reads ``10.0.0.1``, ``10.0.0.1:8554``, ``fd00::1``, ``[fd00::1]:8554``, ``camera-1`` or ``camera-1:8554``.

        Raises:
            ValueError: it is none of these; the message does not repeat the text, which may hold a password.
        """
        return _parse(text)


def address_problem(text: str, networks: CameraNetworks) -> str | None:
    """What is wrong with the address of a device, in words that do not repeat it; None if nothing is."""
    if "@" in text or "//" in text:
        return "must be a host and port alone: no scheme, and never a user or password (see credentials)"
    try:
        address = DeviceAddress.parse(text)
    except ValueError as error:
        return str(error)
    if networks.admits(address):
        return None
    if isinstance(address.host, str):
        return "must be an IP address: host names are not allowed here"
    return "must lie inside the camera networks"


# Admission asks for the same addresses again and again.
@functools.lru_cache(maxsize=8192)
def _parse(text: str) -> DeviceAddress:
    host, port = _split(text)
    try:
        return DeviceAddress(_canonical(host), port)
    except ValueError:
        pass
    name = host.lower()
    if _HOST_NAME.fullmatch(name) is None:
        raise ValueError("must be an IP address or a host name, with :port if it is not 554")
    return DeviceAddress(name, port)


def _split(text: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", text)
    if bracketed:
        return bracketed[1], _port(bracketed[2])
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host:
        return host, _port(port)
    return text, RTSP_PORT


def _port(text: str | None) -> int:
    if text is None:
        return RTSP_PORT
    if not text.isdecimal() or not 0 < int(text) <= 65535:  # noqa: PLR2004 - the range of TCP ports
        raise ValueError("must have a port between 1 and 65535")
    return int(text)


def _canonical(host: str) -> IpAddress:
    """Parses an IP address; undoes the disguises of IPv4 inside IPv6, which would pass as another address."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError("a zone index names an interface of one machine, not a device")
    embedded = address.ipv4_mapped or address.sixtofour
    if embedded is None and address in _NAT64:
        embedded = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return embedded or address
