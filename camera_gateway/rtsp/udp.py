"""A pair of UDP sockets for RTP and RTCP (RFC 3550, section 11: an even port and the one above it)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from camera_gateway.rtsp.messages import Interleaved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RTP_CHANNEL: Final = 0
RTCP_CHANNEL: Final = 1
MAX_WAITING_PACKETS: Final = 4096
"""Packets that wait for the event loop: some 5 MB, a second of a 40 Mbit/s stream; more are dropped and counted."""

RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
"""A key picture of a 4K camera comes as one burst."""

PORT_ATTEMPTS: Final = 64
REPORT_SECONDS: Final = 5.0
"""RFC 3550, section 6.2: the least interval between two reports."""


class UdpPair:
    """Receives the packets of one camera, and of nobody else.

    Args:
        camera: IP address of the camera; datagrams from elsewhere are dropped.
        on_dropped: hears of dropped datagrams, with the reason and their number: "foreign" when they came from somebody
            else, "receiver_behind" when the event loop did not keep up.
    """

    def __init__(self, camera: str, on_dropped: Callable[[str, int], None]) -> None:
        self._camera = camera
        self._on_dropped = on_dropped
        self._packets: deque[Interleaved] = deque()
        self._filled = asyncio.Event()
        self._transports: list[asyncio.DatagramTransport] = []
        self._source = secrets.token_bytes(4)

    @property
    def ports(self) -> tuple[int, int]:
        """Our ports for RTP and RTCP."""
        rtp, rtcp = (transport.get_extra_info("sockname")[1] for transport in self._transports)
        return rtp, rtcp

    async def packets(self) -> AsyncIterator[Interleaved]:
        """RTP packets on channel 0 and RTCP packets on channel 1, for ever."""
        while True:
            while self._packets:
                yield self._packets.popleft()
            self._filled.clear()
            await self._filled.wait()

    async def report(self, server_ports: tuple[int, int] | None) -> None:
        """Send empty receiver reports until cancelled, if the camera has named its ports.

        They tell the camera that somebody listens, and open the way through a firewall between us.
        """
        while server_ports is not None:
            # RFC 3550, section 6.4.2: version 2, no report blocks, packet type 201, length 1.
            self._transports[1].sendto(b"\x80\xc9\x00\x01" + self._source, (self._camera, server_ports[1]))
            await asyncio.sleep(REPORT_SECONDS)
        await asyncio.Event().wait()

    def take(self, channel: int, data: bytes, sender: str) -> None:
        """A datagram came."""
        if sender != self._camera:
            self._on_dropped("foreign", 1)
        elif len(self._packets) >= MAX_WAITING_PACKETS:
            self._on_dropped("receiver_behind", 1)
        else:
            self._packets.append(Interleaved(channel, data))
            self._filled.set()

    async def open(self, local: str) -> None:
        """Bind to an even port and the next on the address ``local``.

        Raises:
            OSError: there is no such pair.
        """
        loop = asyncio.get_running_loop()
        for channel, held in enumerate(_bind_pair(local)):
            transport, _ = await loop.create_datagram_endpoint(functools.partial(_Receiver, self, channel), sock=held)
            self._transports.append(transport)

    def close(self) -> None:
        """Give the ports back."""
        for transport in self._transports:
            transport.close()


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, pair: UdpPair, channel: int) -> None:
        self._pair = pair
        self._channel = channel

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._pair.take(self._channel, data, addr[0])


@contextlib.asynccontextmanager
async def open_pair(local: str, camera: str, on_dropped: Callable[[str, int], None]) -> AsyncIterator[UdpPair]:
    """A bound pair on our address ``local`` for the camera at ``camera``; see `UdpPair`.

    Raises:
        OSError: no ports are free.
    """
    pair = UdpPair(camera, on_dropped)
    try:
        await pair.open(local)
        yield pair
    finally:
        pair.close()


def _bind_pair(local: str) -> tuple[socket.socket, socket.socket]:
    for _ in range(PORT_ATTEMPTS):
        first = _bound(local, 0)
        port = first.getsockname()[1]
        with contextlib.suppress(OSError):
            if port % 2 == 0:
                return first, _bound(local, port + 1)
        first.close()
    raise OSError("no pair of UDP ports is free")


def _bound(local: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.bind((local, port))
    except OSError:
        made.close()
        raise
    return made
