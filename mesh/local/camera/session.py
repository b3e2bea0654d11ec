"""One client's RTSP connection: the dialogue and, after PLAY, the interleaved stream (RFC 2326 section 10.12)."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from mesh.local.camera.faults import Fault, FaultKind
from mesh.local.camera.packetizer import Packetizer, is_rtcp
from mesh.local.camera.rtsp import (
    MAX_HEADER_BYTES,
    MalformedRequestError,
    Request,
    format_response,
    parse_request,
    parse_transport,
)
from mesh.local.camera.sdp import CLOCK_RATE, describe

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from mesh.local.camera.authentication import Authenticator
    from mesh.local.camera.clip import Clip
    from mesh.local.camera.playhead import DueUnit, Playhead

log = structlog.get_logger(__name__)

MAX_BUFFERED_BYTES: Final = 4 * 1024 * 1024
"""A client that reads too slowly loses pictures up to the next key frame, as it would with a camera."""

SESSION_TIMEOUT_SECONDS: Final = 60

_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"

_RTP_HEADER_BYTES: Final = 12


@dataclass(frozen=True)
class CameraState:
    """What all sessions of a camera share.

    Attributes:
        path: the stream's path, with its leading slash.
        address: the server's IP address, for the SDP.
        clip: what is played.
        playhead: plays it.
        resized: plays the same video in another size; only with the fault that asks for it.
        authenticator: None if everyone may look.
        fault: how this camera misbehaves.
        random_source: makes session ids and garbage.
    """

    path: str
    address: str
    clip: Clip
    playhead: Playhead
    resized: Playhead | None
    authenticator: Authenticator | None
    fault: Fault | None
    random_source: random.Random

    def has_fault(self, kind: FaultKind) -> bool:
        """Whether the camera misbehaves in this way."""
        return self.fault is not None and self.fault.kind is kind


class Session:
    """Serves one connection until the client leaves or sends what is not RTSP."""

    def __init__(self, camera: CameraState, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._camera = camera
        self._reader = reader
        self._writer = writer
        self._id = f"{camera.random_source.getrandbits(64):016x}"
        self._channels: tuple[int, int] | None = None
        self._playhead = camera.playhead
        self._packetizer: Packetizer | None = None
        self._first_due = 0.0
        self._awaits_key = True
        self._timer: asyncio.TimerHandle | None = None
        self._playing = False
        self._handlers: Mapping[str, Callable[[Request], None]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
            "TEARDOWN": self._teardown,
        }

    async def run(self) -> None:
        """Answer requests until the connection ends."""
        try:
            while (request := await self._read_request()) is not None:
                self._answer(request)
                await self._writer.drain()
        except MalformedRequestError:
            self._respond(400, "0")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
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

    def _answer(self, request: Request) -> None:
        handler = self._handlers.get(request.method)
        if not request.version.startswith("RTSP/1."):
            self._respond(505, request.sequence)
        elif handler is None:
            self._respond(501, request.sequence)
        elif request.method != "OPTIONS" and not self._is_authorized(request):
            authenticator = self._camera.authenticator
            self._respond(401, request.sequence, authenticator.challenges() if authenticator else [])
        elif request.method != "OPTIONS" and not self._is_known(request.url):
            self._respond(404, request.sequence)
        else:
            handler(request)

    def _is_authorized(self, request: Request) -> bool:
        if self._camera.has_fault(FaultKind.UNAUTHORIZED):
            return False
        authenticator = self._camera.authenticator
        return authenticator is None or authenticator.accepts(request.method, request.headers.get("authorization", ""))

    def _is_known(self, url: str) -> bool:
        _, _, rest = url.partition("://")
        path = "/" + rest.partition("/")[2].partition("?")[0].rstrip("/")
        known = {self._camera.path, f"{self._camera.path}/trackID=0"}
        return path in known and not self._camera.has_fault(FaultKind.NOT_FOUND)

    def _respond(
        self, status: int, sequence: str, headers: list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> None:
        self._writer.write(format_response(status, sequence, headers or [], body))

    def _options(self, request: Request) -> None:
        self._respond(200, request.sequence, [("Public", _METHODS)])

    def _describe(self, request: Request) -> None:
        camera = self._camera
        body = describe(camera.clip.codec, camera.clip.units[0].data, address=camera.address)
        headers = [("Content-Base", request.url.rstrip("/") + "/"), ("Content-Type", "application/sdp")]
        self._respond(200, request.sequence, headers, body)

    def _setup(self, request: Request) -> None:
        channels = parse_transport(request.headers.get("transport", ""))
        if channels is None:
            self._respond(461, request.sequence)
            return
        self._channels = channels
        transport = f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"
        session = f"{self._id};timeout={SESSION_TIMEOUT_SECONDS}"
        self._respond(200, request.sequence, [("Transport", transport), ("Session", session)])

    def _is_in_session(self, request: Request) -> bool:
        if self._channels is None:
            self._respond(455, request.sequence)
            return False
        if request.headers.get("session", "").partition(";")[0] != self._id:
            self._respond(454, request.sequence)
            return False
        return True

    def _play(self, request: Request) -> None:
        if not self._is_in_session(request):
            return
        self._respond(200, request.sequence, [("Session", self._id), ("Range", "npt=now-")])
        if self._playing:
            return
        self._playing = True
        log.info("simulator.session_started", path=self._camera.path)
        if self._camera.has_fault(FaultKind.HANG_AFTER_PLAY):
            return
        self._playhead.add(self)
        fault = self._camera.fault
        if fault is not None and fault.after_seconds:
            act = self._reset if fault.kind is FaultKind.RESET_AFTER else self._resize
            self._timer = asyncio.get_running_loop().call_later(fault.after_seconds, act)

    def _keep_alive(self, request: Request) -> None:
        self._respond(200, request.sequence, [("Session", self._id)])

    def _teardown(self, request: Request) -> None:
        if self._is_in_session(request):
            self._stop()
            self._respond(200, request.sequence)

    def _resize(self) -> None:
        if self._camera.resized is not None:
            self._playhead.remove(self)
            self._playhead, self._awaits_key = self._camera.resized, True
            self._playhead.add(self)

    def _reset(self) -> None:
        connection = self._writer.get_extra_info("socket")
        # With linger 0 the kernel sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stop()
        self._writer.transport.abort()

    def _stop(self) -> None:
        self._playhead.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._packetizer is not None:
            self._packetizer.close()
            self._packetizer = None
        if self._playing:
            self._playing = False
            log.info("simulator.session_ended", path=self._camera.path)

    def show(self, unit: DueUnit) -> None:
        """Send one access unit (the playhead calls this)."""
        if self._writer.transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            self._awaits_key = True
        if self._awaits_key and not unit.unit.is_key:
            return
        self._awaits_key = False
        if self._packetizer is None:
            self._packetizer = Packetizer(unit.clip.codec, width=unit.clip.width, height=unit.clip.height)
            self._first_due = unit.due
        timestamp = round((unit.due - self._first_due) * CLOCK_RATE)
        self._writer.write(b"".join(map(self._interleaved, self._packetizer.packets(unit.unit, timestamp))))

    def _interleaved(self, packet: bytes) -> bytes:
        rtp, rtcp = self._channels or (0, 1)
        channel = rtcp if is_rtcp(packet) else rtp
        if channel == rtp and self._camera.has_fault(FaultKind.GARBAGE):
            noise = self._camera.random_source.randbytes(len(packet) - _RTP_HEADER_BYTES)
            packet = packet[:_RTP_HEADER_BYTES] + noise
        return struct.pack(">cBH", b"$", channel, len(packet)) + packet
