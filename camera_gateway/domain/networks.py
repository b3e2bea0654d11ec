"""Which addresses the gateway may dial: the segregated camera network, enforced in code."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressRefusedError(Exception):
    """No address of the host lies inside the camera networks."""

    def __init__(self, host: str, addresses: Sequence[Address]) -> None:
        super().__init__(f"{host} resolves to no address inside the camera networks")
        self.host = host
        self.addresses = tuple(addresses)


def canonical(address: str) -> Address:
    """Parse an address and undo the disguises of an IPv4 address inside IPv6 (mapped, 6to4, NAT64, scoped).

    Raises:
        ValueError: not an IP address.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    # A zone index chooses an interface, not a network; and 2002::/16 and 64:ff9b::/96 are roads to IPv4 hosts.
    plain = ipaddress.IPv6Address(int(parsed))
    embedded = plain.ipv4_mapped or plain.sixtofour
    if embedded is None and plain in ipaddress.IPv6Network("64:ff9b::/96"):
        embedded = ipaddress.IPv4Address(int(plain) & 0xFFFF_FFFF)
    return embedded or plain


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether ``address`` lies in one of ``networks``, after `canonical`."""
    plain = canonical(address)
    return any(plain in network for network in networks if network.version == plain.version)


def choose(host: str, resolved: Sequence[str], networks: Sequence[Network]) -> str:
    """The address to dial for ``host``: the first of ``resolved`` when every one of them is inside ``networks``.

    A name that resolves to addresses on both sides of the fence is refused as a whole: whoever controls it could
    choose the side by the order of the answer.

    Raises:
        AddressRefusedError: ``resolved`` is empty or holds an address outside ``networks``.
    """
    if not resolved or not all(is_inside(address, networks) for address in resolved):
        raise AddressRefusedError(host, [canonical(address) for address in resolved])
    return str(canonical(resolved[0]))
