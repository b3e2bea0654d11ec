"""A camera that is dialled over RTSP."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING, Final

from camera_gateway.domain.clock import CaptureClock
from camera_gateway.domain.liveness import Reason
from camera_gateway.failures import as_failure
from camera_gateway.pipeline import CodedPicture, DecodePipeline, now, until_first_ends
from camera_gateway.rtsp import udp
from camera_gateway.rtsp.address import CameraAddress, Dialling
from camera_gateway.rtsp.client import RtspConnection, RtspRedirectError, open_connection
from camera_gateway.rtsp.depacketizer import Depacketizer
from camera_gateway.rtsp.reordering import Reordering
from camera_gateway.rtsp.rtp import RtpPacket, parse_rtp, parse_sender_report
from camera_gateway.sources import Listener, SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from camera_gateway.access import Access
    from camera_gateway.pipeline import Decoding
    from camera_gateway.rtsp.messages import Interleaved
    from camera_gateway.rtsp.sdp import VideoTrack

MAX_REDIRECTS: Final = 3


class Transport(enum.Enum):
    """How the packets travel."""

    TCP = "tcp"
    UDP = "udp"
    TLS = "tls"


class RtspSource:
    """Dials one camera; `run` lasts until the session fails, and may be called again.

    Args:
        address: host name or IP address, with the port if it is not the usual one, as the registry has it.
        path: of the stream, with its query.
        transport: how the packets travel.
        access: secrets.
        dialling: finds the address inside the camera networks.
        decoding: of what comes.
    """

    def __init__(  # the composition root names each part
        self, address: str, path: str, *, transport: Transport, access: Access, dialling: Dialling, decoding: Decoding
    ) -> None:
        self._address = address
        self._path = path
        self._transport = transport
        self._access = access
        self._dialling = dialling
        self._decoding = decoding

    async def run(self, listener: Listener) -> None:
        """Connect and deliver pictures.

        Raises:
            SourceError: the session ended for a named reason.
        """
        scheme = "rtsps" if self._transport is Transport.TLS else "rtsp"
        try:
            address = CameraAddress.of_device(scheme, self._address, self._path)
        except ValueError:
            raise SourceError(Reason.UNREACHABLE, "the address in the registry cannot be read") from None
        for _ in range(MAX_REDIRECTS + 1):
            try:
                await self._session(address, listener)
            except RtspRedirectError as redirect:
                try:
                    address = address.redirected(redirect.location)
                except ValueError:
                    raise SourceError(Reason.PROTOCOL_ERROR, "redirected to something that is no RTSP URL") from None
            except Exception as error:
                raise as_failure(error) from error
        raise SourceError(Reason.PROTOCOL_ERROR, "redirected too often")

    async def _session(self, address: CameraAddress, listener: Listener) -> None:
        dialled = await self._dialling.check(address.host)
        trust = self._access.trust() if address.encrypted else None
        async with contextlib.AsyncExitStack() as stack:
            connection = await stack.enter_async_context(
                open_connection(dialled, address.port, self._access.credentials(), host=address.host, trust=trust)
            )
            pair = None
            if self._transport is Transport.UDP:
                pair = await stack.enter_async_context(
                    udp.open_pair(connection.local_address, dialled, listener.on_dropped)
                )
            track = await connection.play(address.url, lambda url: self._dialling.check_url(url, address), pair)
            for kind in track.left_out:
                listener.on_left_out(kind)
            listener.on_connected()
            await self._work(connection, pair, track, listener)

    async def _work(
        self, connection: RtspConnection, pair: udp.UdpPair | None, track: VideoTrack, listener: Listener
    ) -> None:
        pipeline = self._decoding.pipeline(track.decoder, track.parameter_sets, listener)
        reception = _Reception(track, pipeline, listener)
        if pair is None:
            receiving = [reception.run(connection.packets(), connection.channels)]
        else:
            receiving = [
                reception.run(pair.packets(), (udp.RTP_CHANNEL, udp.RTCP_CHANNEL), Reordering()),
                pair.report(connection.server_ports),
                _watch(connection),
            ]
        await until_first_ends(*receiving, pipeline.run(), connection.keep_alive())


class _Reception:
    """Packets of one session to coded pictures.

    Args:
        track: the video that was set up.
        pipeline: where coded pictures go.
        listener: hears of the camera's clock.
    """

    def __init__(self, track: VideoTrack, pipeline: DecodePipeline, listener: Listener) -> None:
        self._payload_type = track.payload_type
        self._depacketizer = Depacketizer(track.decoder)
        self._clock = CaptureClock(track.clock_rate)
        self._pipeline = pipeline
        self._listener = listener
        self._lost = 0

    async def run(
        self, packets: AsyncIterator[Interleaved], channels: tuple[int, int], reordering: Reordering | None = None
    ) -> None:
        """Receive until the session ends."""
        late = 0
        async for packet in packets:
            if packet.channel == channels[1]:
                self._take_report(packet.payload)
            elif packet.channel != channels[0]:
                # Audio and metadata are never set up; whoever sends them all the same is not listened to.
                self._listener.on_dropped("not_asked_for", 1)
            elif (rtp := parse_rtp(packet.payload)) is None:
                self._listener.on_dropped("malformed_packet", 1)
            elif rtp.payload_type != self._payload_type:
                self._listener.on_dropped("not_asked_for", 1)
            else:
                for each in [rtp] if reordering is None else reordering.push(rtp):
                    self._take(each)
                if reordering is not None and reordering.late > late:
                    self._listener.on_dropped("late_packet", reordering.late - late)
                    late = reordering.late

    def _take_report(self, payload: bytes) -> None:
        if (report := parse_sender_report(payload)) is not None:
            self._clock.on_sender_report(report)
            if self._clock.drift is not None:
                self._listener.on_clock(self._clock.drift)

    def _take(self, packet: RtpPacket) -> None:
        units = self._depacketizer.feed(packet)
        if (lost := self._depacketizer.lost_packets) > self._lost:
            self._listener.on_lost(lost - self._lost)
            self._lost = lost
        for unit in units:
            arrived, arrival = now()
            stamp = self._clock.stamp(unit.timestamp, arrived)
            self._pipeline.put(
                CodedPicture(unit.data, stamp, arrival, key=unit.key, reference=unit.reference, damaged=unit.damaged)
            )


async def _watch(connection: RtspConnection) -> None:
    """Read what comes on the connection while the packets travel elsewhere; it ends with the connection's error."""
    async for _ in connection.packets():
        pass
