"""One client's RTSP connection: the dialogue (RFC 2326) and what it starts."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final

import structlog

from mesh.local.camera.delivery import CUTS, Delivery, reset
from mesh.local.camera.faults import FaultKind
from mesh.local.camera.frames import PLAIN
from mesh.local.camera.rtsp import (
    MAX_HEADER_BYTES,
    Interleaved,
    MalformedRequestError,
    Request,
    Transport,
    format_response,
    parse_request,
    parse_transport,
)
from mesh.local.camera.sdp import VIDEO_TRACK, describe
from mesh.local.camera.sinks import InterleavedSink, Sink, open_udp
from mesh.local.camera.tracks import EXTRA_TRACKS, ExtraTrack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mesh.local.camera.device import Device, Stream

log = structlog.get_logger(__name__)

SESSION_TIMEOUT_SECONDS: Final = 60

_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"


class Session:
    """Serves one connection until the client leaves or sends what is not RTSP."""

    def __init__(self, device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._device = device
        self._reader = reader
        self._writer = writer
        self._id = f"{device.random_source.getrandbits(64):016x}"
        self._delivery: Delivery | None = None
        self._cutter: asyncio.Task[None] | None = None
        self._handlers: Mapping[str, Callable[[Request, Stream], Awaitable[None]]] = {
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
            "TEARDOWN": self._teardown,
        }

    async def run(self) -> None:
        """Answer requests until the connection ends."""
        if self._device.has(FaultKind.OFFLINE):
            self.reset()
            return
        self._cutter = asyncio.create_task(self._cut(), name="camera-cutter")
        try:
            if self._device.has(FaultKind.HANG_AFTER_CONNECT):
                while await self._reader.read(MAX_HEADER_BYTES):
                    pass
            while (request := await self._read_request()) is not None:
                await self._answer(request)
                await self._writer.drain()
        except MalformedRequestError:
            self._respond(400, "0")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._cutter.cancel()
            self._stop()
            self._writer.close()

    async def _read_request(self) -> Request | None:
        """The next request; the client's RTCP receiver reports in between are skipped."""
        while True:
            first = await self._reader.read(1)
            if first == b"$":
                _, length = struct.unpack(">BH", await self._reader.readexactly(3))
                await self._reader.readexactly(length)
                continue
            if first in {b"\r", b"\n"}:
                continue
            if not first:
                return None
            head = first + await self._reader.readuntil(b"\r\n\r\n")
            if len(head) > MAX_HEADER_BYTES:
                raise MalformedRequestError("request head too long")
            request = parse_request(head)
            await self._reader.readexactly(request.content_length)
            return request

    async def _answer(self, request: Request) -> None:
        handler = self._handlers.get(request.method)
        stream = self._device.streams.get(request.stream_path)
        if not request.version.startswith("RTSP/1."):
            self._respond(505, request.sequence)
        elif request.method == "OPTIONS":
            self._respond(200, request.sequence, [("Public", _METHODS)])
        elif handler is None:
            self._respond(501, request.sequence)
        elif not self._is_authorized(request, stream):
            authenticator = self._device.authenticator
            self._respond(401, request.sequence, authenticator.challenges() if authenticator else [])
        elif stream is None or self._has(stream, FaultKind.NOT_FOUND):
            self._respond(404, request.sequence)
        else:
            await handler(request, stream)

    def _has(self, stream: Stream, kind: FaultKind) -> bool:
        return stream.faults.active(kind, self._device.clock.moment(None)) is not None

    def _is_authorized(self, request: Request, stream: Stream | None) -> bool:
        if stream is not None and self._has(stream, FaultKind.UNAUTHORIZED):
            return False
        authenticator = self._device.authenticator
        return authenticator is None or authenticator.accepts(request.method, request.headers.get("authorization", ""))

    def _respond(
        self, status: int, sequence: str, headers: list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write(format_response(status, sequence, headers or [], body))

    def _offered(self, stream: Stream) -> list[ExtraTrack]:
        return [track for kind, track in EXTRA_TRACKS.items() if self._has(stream, kind)]

    async def _describe(self, request: Request, stream: Stream) -> None:
        redirect = stream.faults.active(FaultKind.REDIRECT, self._device.clock.moment(None))
        if redirect is not None:
            self._respond(302, request.sequence, [("Location", redirect.target)])
            return
        look = stream.look(self._device.clock.moment(None))
        clip = (await stream.clips(self._device.library))[PLAIN if look.is_held else look]
        assert clip.codec != "mjpeg"
        extra = [track.description for track in self._offered(stream)]
        body = describe(clip.codec, clip.units[0].data, address=self._device.address, extra=extra)
        headers = [("Content-Base", request.url.rstrip("/") + "/"), ("Content-Type", "application/sdp")]
        self._respond(200, request.sequence, headers, body)

    async def _setup(self, request: Request, stream: Stream) -> None:
        control = request.control or VIDEO_TRACK
        extra = next((track for track in EXTRA_TRACKS.values() if track.control == control), None)
        if extra is not None and extra not in self._offered(stream):
            self._respond(404, request.sequence)
            return
        if self._delivery is None:
            clips = await stream.clips(self._device.library)
            self._delivery = Delivery(self._device, stream, clips)
        elif self._delivery.is_playing or self._delivery.stream is not stream:
            self._respond(455, request.sequence)
            return
        channel = 2 * self._delivery.track_count
        transport = parse_transport(request.headers.get("transport", ""), free_channel=channel)
        opened = await self._open(transport)
        if opened is None:
            self._respond(461, request.sequence)
            return
        sink, answer = opened
        self._delivery.set_up(extra, sink)
        session = f"{self._id};timeout={SESSION_TIMEOUT_SECONDS}"
        self._respond(200, request.sequence, [("Transport", answer), ("Session", session)])

    async def _open(self, transport: Transport | None) -> tuple[Sink, str] | None:
        if transport is None:
            return None
        if isinstance(transport, Interleaved):
            channels = transport.rtp, transport.rtcp
            return InterleavedSink(
                self._writer, channels
            ), f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"
        own, client = (self._writer.get_extra_info(name)[0] for name in ("sockname", "peername"))
        try:
            sink = await open_udp(own, client, (transport.rtp, transport.rtcp))
        except OSError:
            return None
        ports = f"client_port={transport.rtp}-{transport.rtcp};server_port={sink.ports[0]}-{sink.ports[1]}"
        return sink, f"RTP/AVP;unicast;{ports}"

    def _in_session(self, request: Request) -> Delivery | None:
        if self._delivery is None:
            self._respond(455, request.sequence)
            return None
        if request.headers.get("session", "").partition(";")[0] != self._id:
            self._respond(454, request.sequence)
            return None
        return self._delivery

    async def _play(self, request: Request, stream: Stream) -> None:
        delivery = self._in_session(request)
        if delivery is None:
            return
        self._respond(200, request.sequence, [("Session", self._id), ("Range", "npt=now-")])
        if not delivery.is_playing:
            delivery.start(self.reset)
            log.info("simulator.session_started", path=stream.path)

    async def _keep_alive(self, request: Request, _stream: Stream) -> None:
        self._respond(200, request.sequence, [("Session", self._id)])

    async def _teardown(self, request: Request, _stream: Stream) -> None:
        if self._in_session(request) is not None:
            self._stop()
            self._respond(200, request.sequence)

    async def _cut(self) -> None:
        """Cut the connection when the device goes off the network."""
        await self._device.cut(self._device.faults, CUTS - {FaultKind.RESET}, None)
        self.reset()

    def reset(self) -> None:
        """End the connection with RST."""
        reset(self._writer.transport)

    def _stop(self) -> None:
        if self._delivery is not None:
            was_playing = self._delivery.is_playing
            self._delivery.stop()
            if was_playing:
                log.info("simulator.session_ended", path=self._delivery.stream.path)
            self._delivery = None
