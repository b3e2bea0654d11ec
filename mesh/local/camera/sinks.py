"""Where the packets of a track go: into the RTSP connection (RFC 2326 section 10.12), or over UDP."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BUFFERED_BYTES: Final = 1024 * 1024
"""A client that reads too slowly loses pictures up to the next key frame, as it would with a camera."""

_PAIR_ATTEMPTS: Final = 50


class Sink(Protocol):
    """Takes the packets of one track."""

    def send(self, packets: Sequence[bytes]) -> None:
        """Send RTP packets; must not block."""

    def report(self, packet: bytes) -> None:
        """Send an RTCP packet; must not block."""

    def is_congested(self) -> bool:
        """Whether the client reads too slowly."""

    def close(self) -> None:
        """Send nothing any more."""


class InterleavedSink:
    """Two channels of the RTSP connection.

    Args:
        writer: of the connection.
        channels: for RTP and for RTCP.
    """

    def __init__(self, writer: asyncio.StreamWriter, channels: tuple[int, int]) -> None:
        self._writer = writer
        self._rtp, self._rtcp = channels

    def send(self, packets: Sequence[bytes]) -> None:
        """Send RTP packets, in one write."""
        if packets and not self._writer.transport.is_closing():
            self._writer.write(b"".join([_framed(self._rtp, packet) for packet in packets]))

    def report(self, packet: bytes) -> None:
        """Send an RTCP packet."""
        if not self._writer.transport.is_closing():
            self._writer.write(_framed(self._rtcp, packet))

    def is_congested(self) -> bool:
        """Whether the client reads too slowly."""
        return self._writer.transport.get_write_buffer_size() > MAX_BUFFERED_BYTES

    def close(self) -> None:
        """Nothing to do: the connection is the session's."""


def _framed(channel: int, packet: bytes) -> bytes:
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


class UdpSink:
    """A pair of UDP sockets towards a pair of ports of the client.

    Attributes:
        ports: the camera's own, for RTP and for RTCP.
    """

    def __init__(self, transports: Sequence[asyncio.DatagramTransport], host: str, ports: tuple[int, int]) -> None:
        self._rtp, self._rtcp = transports
        self._host = host
        self._remote = ports
        own = [transport.get_extra_info("sockname")[1] for transport in transports]
        self.ports: tuple[int, int] = (own[0], own[1])

    def send(self, packets: Sequence[bytes]) -> None:
        """Send RTP packets, each in its datagram."""
        for packet in packets:
            self._rtp.sendto(packet, (self._host, self._remote[0]))

    def report(self, packet: bytes) -> None:
        """Send an RTCP packet."""
        self._rtcp.sendto(packet, (self._host, self._remote[1]))

    def is_congested(self) -> bool:
        """Never: what the client does not read is lost."""
        return False

    def close(self) -> None:
        """Close both sockets."""
        self._rtp.abort()
        self._rtcp.abort()


async def open_udp(own_host: str, client_host: str, client_ports: tuple[int, int]) -> UdpSink:
    """Bind an even port and the next one (RFC 3550 section 11).

    Args:
        own_host: the camera's IP address.
        client_host: the client's IP address, as seen on the RTSP connection; never one that the client names.
        client_ports: for RTP and for RTCP.

    Raises:
        OSError: no pair is free.
    """
    loop = asyncio.get_running_loop()
    rtp, rtcp = _bind_pair(own_host)
    transports = []
    for bound in (rtp, rtcp):
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=bound)
        transports.append(transport)
    return UdpSink(transports, client_host, client_ports)


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_PAIR_ATTEMPTS):
        rtp, rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        try:
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                rtp.setblocking(False)
                rtcp.setblocking(False)
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise OSError("no pair of UDP ports is free")
