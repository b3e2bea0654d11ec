"""What the guard of connectivity checks takes for granted of aiortc and aioice, and what it makes of it."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import aioice
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection

from camera_gateway.ice import guard_checks, restrict_candidates

CAMERAS = [ipaddress.ip_network("10.0.0.0/8")]


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[RTCPeerConnection]:
    connection = RTCPeerConnection()
    connection.addTransceiver("video", direction="recvonly")
    connection.addTransceiver("audio", direction="recvonly")
    yield connection
    await connection.close()


def connections(peer: RTCPeerConnection) -> list[Any]:
    return [transceiver.receiver.transport.transport._connection for transceiver in peer.getTransceivers()]


class Socket(asyncio.DatagramTransport):
    """Remembers what was sent: aioice refuses a check without credentials, but answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
        self.sent.append(bytes(data))


async def test_every_transport_holds_a_connection_of_aioice_that_hears_checks(peer: RTCPeerConnection) -> None:
    for connection in connections(peer):
        assert isinstance(connection, aioice.Connection)
        parameters = list(inspect.signature(connection.request_received).parameters)
        assert parameters == ["message", "addr", "protocol"]


async def test_each_transport_is_guarded_once(peer: RTCPeerConnection) -> None:
    guards = guard_checks(peer, CAMERAS)

    assert {id(connection.request_received) for connection in connections(peer)} == {id(guard) for guard in guards}


@pytest.mark.parametrize(("address", "heard"), [("10.1.2.3", 1), ("192.0.2.1", 0), ("::ffff:10.1.2.3", 1), ("::1", 0)])
async def test_what_a_socket_receives_comes_to_the_guard(peer: RTCPeerConnection, address: str, heard: int) -> None:
    """A datagram, as the event loop hands it to the protocol that aioice opens for each local address."""
    [guard, *_] = guard_checks(peer, CAMERAS)
    check = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)

    protocol = aioice.ice.StunProtocol(connections(peer)[0])
    protocol.transport = socket = Socket()
    protocol.datagram_received(bytes(check), (address, 4000))

    assert (len(socket.sent), guard.refused) == (heard, 1 - heard)


def test_candidates_outside_of_the_camera_networks_and_names_are_left_out() -> None:
    lines = [
        "a=candidate:1 1 UDP 1 10.1.2.3 4000 typ host",
        "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host",
        "a=candidate:1 1 UDP 1 ::ffff:192.0.2.1 4000 typ host",
        "a=candidate:1 1 UDP 1 camera.local 4000 typ host",
        "a=candidate:1 1 UDP",
        "a=end-of-candidates",
    ]

    assert restrict_candidates("\n".join(lines), CAMERAS).splitlines() == [lines[0], lines[-1]]
