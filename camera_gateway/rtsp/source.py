"""A camera that is dialled over RTSP."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
import urllib.parse
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

import av.error

from camera_gateway.decoding import Sampler, VideoDecoder
from camera_gateway.domain import networks
from camera_gateway.domain.clock import CaptureClock, CaptureTime
from camera_gateway.domain.liveness import Reason
from camera_gateway.rtsp.client import (
    ConnectionEndedError,
    RtspConnection,
    RtspRedirectError,
    RtspStatusError,
    open_connection,
)
from camera_gateway.rtsp.depacketizer import AccessUnit, Depacketizer
from camera_gateway.rtsp.messages import ProtocolError
from camera_gateway.rtsp.rtp import parse_rtp, parse_sender_report
from camera_gateway.rtsp.sdp import NoVideoError, VideoTrack
from camera_gateway.sources import Listener, Outcome, SourceError, deliver

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from camera_gateway.rtsp.authentication import Credentials

DEFAULT_PORT: Final = 554
MAX_REDIRECTS: Final = 3
MAX_WAITING_UNITS: Final = 50
"""Access units that may wait for the decoder: two seconds of an ordinary camera."""

MAX_FRUITLESS_UNITS: Final = 250
"""Access units in a row without a picture before the session is given up: ten seconds of an ordinary camera."""

STATUS_REASONS: Final = {401: Reason.UNAUTHORIZED, 403: Reason.UNAUTHORIZED, 404: Reason.NOT_FOUND}

_FAILURES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], Reason, str], ...]] = (
    (
        networks.AddressRefusedError,
        Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS,
        "the address is outside the camera networks",
    ),
    (NoVideoError, Reason.UNSUPPORTED_CODEC, ""),
    (ProtocolError, Reason.PROTOCOL_ERROR, ""),
    ((ConnectionEndedError, ConnectionResetError, BrokenPipeError), Reason.END_OF_STREAM, "the camera hung up"),
    (OSError, Reason.UNREACHABLE, "no connection"),
)
"""What ends a session, the more special first."""

Resolver = Callable[[str], Awaitable[Sequence[str]]]


async def resolve(host: str) -> Sequence[str]:
    """The addresses of ``host`` by the system's resolver.

    Raises:
        OSError: the name is not known.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except UnicodeError:
        raise OSError("not a host name") from None
    return [str(address[4][0]) for address in found]


@dataclasses.dataclass(frozen=True, slots=True)
class CameraAddress:
    """Where a camera's stream is: host name or IP address, TCP port, and path with query."""

    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The RTSP URL; holds no credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = urllib.parse.quote(self.path.lstrip("/"), safe="/?:@&=+$,;~*'()!%[]")
        return f"rtsp://{host}:{self.port}/{path}"

    @classmethod
    def parse(cls, url: str) -> CameraAddress:
        """The address in an RTSP URL; credentials in it are left out.

        Raises:
            ValueError: not an RTSP URL with a host.
        """
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "rtsp" or not parts.hostname:
            raise ValueError("not an RTSP URL")
        query = f"?{parts.query}" if parts.query else ""
        return cls(parts.hostname, parts.port or DEFAULT_PORT, parts.path + query)


@dataclasses.dataclass(frozen=True, slots=True)
class _Unit:
    unit: AccessUnit
    capture_time: CaptureTime
    arrival: float


class _Waiting:
    """Access units on their way to the decoder; when it falls behind, all go until a key picture."""

    def __init__(self) -> None:
        self._units: deque[_Unit] = deque()
        self._filled = asyncio.Event()
        self._until_key = False

    def put(self, unit: _Unit) -> int:
        """Add one; how many were dropped."""
        dropped = 0
        if len(self._units) >= MAX_WAITING_UNITS:
            dropped = len(self._units)
            self._units.clear()
            self._until_key = True
        if self._until_key and not unit.unit.key:
            return dropped + 1
        self._until_key = False
        self._units.append(unit)
        self._filled.set()
        return dropped

    async def take(self) -> _Unit:
        """The oldest."""
        while not self._units:
            self._filled.clear()
            await self._filled.wait()
        return self._units.popleft()


class _Decoding:
    """The decoder and sampler of one session; used by one pool thread at a time."""

    def __init__(self, track: VideoTrack, sampler: Sampler) -> None:
        self._decoder = VideoDecoder(track.decoder, track.parameter_sets)
        self._sampler = sampler
        self._clock = CaptureClock(track.clock_rate)
        self._ordinal = 0
        self._times: dict[int, _Unit] = {}

    def run(self, item: _Unit) -> Outcome:
        """Decode one access unit and sample what comes out."""
        outcome = Outcome()
        self._ordinal += 1
        self._times[self._ordinal] = item
        # Reordering decoders hold back at most 16 pictures (H.264 and H.265, annex A).
        self._times.pop(self._ordinal - 32, None)
        try:
            frames = self._decoder.decode(item.unit.data, self._ordinal)
        except av.error.FFmpegError:
            outcome.failed = 1
            return outcome
        for frame in frames:
            origin = self._times.pop(frame.pts, item) if frame.pts is not None else item
            if self._clock.advances(origin.capture_time):
                self._sampler.sample(frame, origin.capture_time, origin.arrival, outcome)
            else:
                outcome.decoded += 1
                outcome.width, outcome.height = frame.width, frame.height
                outcome.dropped["out_of_order"] = outcome.dropped.get("out_of_order", 0) + 1
        return outcome


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address; the port is 554 unless said.

    Raises:
        ValueError: there is no host, or the port is no number.
    """
    if not address:
        raise ValueError("no host")
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else DEFAULT_PORT
    if address.count(":") == 1:
        host, _, port = address.partition(":")
        return host, int(port)
    return address, DEFAULT_PORT


class RtspSource:
    """Dials one camera; `run` lasts until the session fails, and may be called again.

    Args:
        address: host name or IP address, with the port if it is not 554, as the registry has it.
        path: of the stream, with its query.
        credentials: gives the camera's credentials at each dial, so that a changed secret needs no restart.
        allowed: the configured camera networks.
        pool: where decoding runs.
        make_sampler: makes the sampler of a session.
        resolver: from a host name to IP addresses.
    """

    def __init__(  # the composition root names each part
        self,
        address: str,
        path: str,
        *,
        credentials: Callable[[], Credentials | None],
        allowed: Sequence[networks.Network],
        pool: Executor,
        make_sampler: Callable[[], Sampler],
        resolver: Resolver = resolve,
    ) -> None:
        self._address = address
        self._path = path
        self._credentials = credentials
        self._allowed = allowed
        self._pool = pool
        self._make_sampler = make_sampler
        self._resolver = resolver

    async def run(self, listener: Listener) -> None:
        """Connect and deliver pictures.

        Raises:
            SourceError: the session ended for a named reason.
        """
        try:
            address = CameraAddress(*split_address(self._address), self._path)
        except ValueError:
            raise SourceError(Reason.UNREACHABLE, "the address in the registry cannot be read") from None
        for _ in range(MAX_REDIRECTS + 1):
            try:
                await self._session(address, listener)
            except RtspRedirectError as redirect:
                try:
                    address = CameraAddress.parse(redirect.location)
                except ValueError:
                    raise SourceError(Reason.PROTOCOL_ERROR, "redirected to something that is no RTSP URL") from None
            except Exception as error:
                raise _as_failure(error) from error
        raise SourceError(Reason.PROTOCOL_ERROR, "redirected too often")

    async def _session(self, address: CameraAddress, listener: Listener) -> None:
        # The address that was checked is the one that is dialled: a name that changes its mind changes nothing.
        dialled = networks.choose(address.host, await self._resolver(address.host), self._allowed)
        async with open_connection(dialled, address.port, self._credentials()) as connection:
            track = await connection.play(address.url)
            listener.on_connected()
            waiting = _Waiting()
            await _until_first_ends(
                self._receive(connection, track, waiting, listener),
                self._decode(_Decoding(track, self._make_sampler()), waiting, listener),
                connection.keep_alive(),
            )

    async def _receive(
        self, connection: RtspConnection, track: VideoTrack, waiting: _Waiting, listener: Listener
    ) -> None:
        depacketizer = Depacketizer(track.decoder)
        clock = CaptureClock(track.clock_rate)
        async for packet in connection.packets():
            if packet.channel == 1:
                if (report := parse_sender_report(packet.payload)) is not None:
                    clock.on_sender_report(report)
                continue
            if packet.channel != 0 or (rtp := parse_rtp(packet.payload)) is None:
                continue
            if rtp.payload_type != track.payload_type:
                continue
            for unit in depacketizer.feed(rtp):
                item = _Unit(unit, clock.capture_time(unit.timestamp, time.time()), time.monotonic())
                if dropped := waiting.put(item):
                    listener.on_dropped("decoder_behind", dropped)

    async def _decode(self, decoding: _Decoding, waiting: _Waiting, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        fruitless = 0
        while True:
            outcome = await loop.run_in_executor(self._pool, decoding.run, await waiting.take())
            fruitless = 0 if outcome.decoded else fruitless + 1
            if fruitless > MAX_FRUITLESS_UNITS:
                raise SourceError(Reason.DECODE_ERRORS, f"{fruitless} coded pictures in a row do not decode")
            deliver(outcome, listener)


async def _until_first_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _as_failure(error: Exception) -> SourceError:
    """The named reason of whatever ended a session; its detail never quotes what the camera said."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, RtspStatusError):
        reason = STATUS_REASONS.get(error.status, Reason.REJECTED)
        return SourceError(reason, f"{error.method} was answered {error.status}")
    for kinds, reason, detail in _FAILURES:
        if isinstance(error, kinds):
            return SourceError(reason, detail or str(error))
    return SourceError(Reason.INTERNAL, type(error).__name__)
