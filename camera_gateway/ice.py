"""Keeps the ICE of publishers inside the camera networks (RFC 8445)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from camera_gateway.domain import networks

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection


def restrict_candidates(offer: str, allowed: Sequence[networks.Network]) -> str:
    """The offer without the ICE candidates whose address is outside ``allowed`` or is a name: they are not dialled."""
    return "\r\n".join(line for line in offer.splitlines() if _may_stay(line, allowed)) + "\r\n"


def _may_stay(line: str, allowed: Sequence[networks.Network]) -> bool:
    if not line.startswith("a=candidate:"):
        return True
    fields = line.split()
    try:
        return networks.is_inside(fields[4], allowed)
    except (IndexError, ValueError):
        return False


def guard_checks(peer: RTCPeerConnection, allowed: Sequence[networks.Network]) -> list[CheckGuard]:
    """Let ``peer`` hear no connectivity check from outside ``allowed``; the guards, one per transport.

    A check from an address that the offer did not name makes a new, peer-reflexive candidate, which would be answered
    and checked in turn. Call it when the remote description is set, before candidates are gathered.

    Raises:
        AttributeError: this aiortc or aioice is built otherwise; then nobody can publish.
    """
    guards: dict[int, CheckGuard] = {}
    for transceiver in peer.getTransceivers():
        # There is no supported way: RTCPeerConnection makes its transports itself and takes no part of them from
        # outside, and what aioice thinks of is a filter of local addresses, not of who may check (aiortc/aioice issue
        # 2, pull request 57; both open). `getRemoteCandidates` is public, but tells of such a candidate when it was
        # answered. Both packages are pinned, and test_ice.py fails where this no longer holds.
        connection: Any = transceiver.receiver.transport.transport._connection  # noqa: SLF001
        if id(connection) not in guards:
            guards[id(connection)] = CheckGuard(connection.request_received, allowed)
            connection.request_received = guards[id(connection)]
    return list(guards.values())


class CheckGuard:
    """Stands before the handler of connectivity checks.

    Args:
        handle: the handler.
        allowed: the networks from which checks may come.
    """

    def __init__(self, handle: Any, allowed: Sequence[networks.Network]) -> None:
        self._handle = handle
        self._allowed = allowed
        self.refused = 0
        """Checks that were not heard."""

    def __call__(self, message: Any, address: tuple[str, int], protocol: Any) -> None:
        """Hear a check, if it may be heard."""
        if networks.is_inside(address[0], self._allowed):
            self._handle(message, address, protocol)
        else:
            self.refused += 1
