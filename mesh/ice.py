"""What WebRTC needs on a machine without a network. Only services that have aiortc import this."""

from __future__ import annotations

import aioice.ice

_LOOPBACK = "127.0.0.1"


def offer_loopback() -> None:
    """Lets ICE offer 127.0.0.1 too: aioice leaves it out, and a laptop without a network has no other address."""
    found = aioice.ice.get_host_addresses
    if getattr(found, "with_loopback", False):
        return

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - the signature of aioice
        return [*found(use_ipv4, use_ipv6), *([_LOOPBACK] if use_ipv4 else [])]

    with_loopback.with_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = with_loopback
