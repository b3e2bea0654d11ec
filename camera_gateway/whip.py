"""WHIP (RFC 9725): cameras that publish to the gateway over WebRTC.

One endpoint per optic, ``POST /whip/{device}/{optic}`` with an SDP offer and the optic's bearer token. The answer names
the session's resource; DELETE on it ends the session, and so do silence and the end of the lease. Only video is
accepted: audio is answered inactive and drained unheard.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.video.frame import VideoFrame

from camera_gateway.domain import networks
from camera_gateway.domain.clock import CaptureClock, Presentation
from camera_gateway.domain.liveness import Reason
from camera_gateway.domain.slot import NewestSlot
from camera_gateway.ice import CheckGuard, guard_checks, restrict_candidates
from camera_gateway.sources import Listener, Outcome, SourceError, deliver
from camera_gateway.views import Samplers, Views
from mesh.ice import offer_loopback

if TYPE_CHECKING:
    from concurrent.futures import Executor

log = structlog.get_logger(__name__)

MAX_OFFER_BYTES: Final = 64 * 1024
ID: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


CLOCK_RATE: Final = 90_000
"""RTP timestamp units per second of every video format (RFC 6184, RFC 7741)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """A decoded frame and when it came: Unix and monotonic seconds."""

    frame: VideoFrame
    unix: float
    monotonic: float


class WhipSession:
    """One publisher: a peer connection whose video is always drained into a one-place slot.

    Args:
        allowed: the networks that it may come from.
    """

    def __init__(self, allowed: Sequence[networks.Network]) -> None:
        self._allowed = allowed
        self.resource = secrets.token_urlsafe(16)
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.guards: list[CheckGuard] = []
        self.left_out: list[str] = []
        """The kinds of what was offered and not taken: "audio", "video" or "other"."""
        self.ended = asyncio.Event()
        self.connected = asyncio.Event()
        self._newest: NewestSlot[Arrival] = NewestSlot()
        self._filled = asyncio.Event()
        self._drains: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.peer.on("track", self._on_track)
        self.peer.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """The answer to an SDP offer.

        Raises:
            ValueError: the offer cannot be used.
        """
        await self.peer.setRemoteDescription(RTCSessionDescription(restrict_candidates(offer, self._allowed), "offer"))
        self.guards = guard_checks(self.peer, self._allowed)
        video = 0
        for transceiver in self.peer.getTransceivers():
            if transceiver.kind != "video" or video:
                transceiver.direction = "inactive"
                self.left_out.append(transceiver.kind)
                continue
            video += 1
            transceiver.direction = "recvonly"
        if not video:
            raise ValueError("the offer has no video")
        if self.peer.sctp is not None:
            # Data channels: nobody listens to them.
            self.left_out.append("other")
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return self.peer.localDescription.sdp

    async def frames(self) -> AsyncIterator[Arrival]:
        """Frames, the newest only; ends with the session."""
        while not self.ended.is_set():
            item = self._newest.take()
            if item is not None:
                yield item
                continue
            self._filled.clear()
            await self._filled.wait()

    def superseded(self) -> int:
        """Frames that gave way to newer ones since the last call."""
        count, self._newest.replaced = self._newest.replaced, 0
        return count

    async def close(self) -> None:
        """End the session."""
        self.ended.set()
        self._filled.set()
        for drain in self._drains:
            drain.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self.peer.close(), name="whip-close")
        # aiortc's close cannot be cancelled and begun again.
        await asyncio.shield(self._closing)

    def _on_track(self, track: MediaStreamTrack) -> None:
        # aiortc queues without bound what nobody reads: every track is drained, whatever it carries.
        drain = asyncio.create_task(self._drain(track), name=f"drain-{track.kind}")
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    async def _drain(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self._newest.put(Arrival(frame, time.time(), time.monotonic()))
                    self._filled.set()
        if track.kind == "video":
            self.ended.set()
            self._filled.set()

    async def _on_state(self) -> None:
        if self.peer.connectionState == "connected":
            self.connected.set()
        elif self.peer.connectionState in ("failed", "closed"):
            self.ended.set()
            self._filled.set()


class _Sampling:
    """Times and samples the frames of one session; used by one pool thread at a time."""

    def __init__(self, views: Views) -> None:
        self._samplers = Samplers(views)
        self._clock = CaptureClock(CLOCK_RATE)
        self._presentation = Presentation()

    def run(self, arrived: Arrival, outcome: Outcome) -> None:
        """Sample one frame into ``outcome``."""
        if arrived.frame.is_corrupt:
            # Made up by the decoder, out of noise or for want of a key picture.
            outcome.failed += 1
            return
        # Its presentation time is its RTP timestamp. The sender reports stay inside aiortc.
        stamp = self._clock.stamp((arrived.frame.pts or 0) % 2**32, arrived.unix)
        if (captured := self._presentation.admit(stamp)) is not None:
            self._samplers.sample(arrived.frame, captured, arrived.monotonic, outcome)
            outcome.settle()
        else:
            outcome.drop("out_of_order")


class WhipSource:
    """An optic that publishes; `run` waits for a publisher and lasts as long as its session.

    Args:
        pool: where scaling runs.
        views: of the optic.
    """

    def __init__(self, pool: Executor, views: Views) -> None:
        self._pool = pool
        self._views = views
        self._offered: asyncio.Queue[WhipSession] = asyncio.Queue(1)
        self._current: WhipSession | None = None

    @property
    def taken(self) -> bool:
        """Whether a publisher is there already."""
        return self._current is not None or self._offered.full()

    def offer(self, session: WhipSession) -> bool:
        """Accept a publisher; False when there is one already."""
        if self.taken:
            return False
        self._offered.put_nowait(session)
        return True

    async def run(self, listener: Listener) -> None:
        """Wait for a publisher and deliver its pictures.

        Raises:
            SourceError: the session ended.
        """
        try:
            self._current = await self._offered.get()
            session = self._current
            for kind in session.left_out:
                listener.on_left_out(kind)
            listener.on_connected()
            sampling = _Sampling(self._views)
            loop = asyncio.get_running_loop()
            async for arrival in session.frames():
                outcome = Outcome()
                if skipped := session.superseded():
                    outcome.dropped["superseded"] = skipped
                await loop.run_in_executor(self._pool, sampling.run, arrival, outcome)
                deliver(outcome, listener)
            raise SourceError(Reason.END_OF_STREAM, "the publisher ended the session")
        finally:
            session_, self._current = self._current, None
            if session_ is not None:
                await session_.close()


SourceFinder = Callable[[str], WhipSource | None]
TokenFinder = Callable[[str], str | None]


class WhipEndpoint:
    """The HTTP side.

    Args:
        find_source: the source of an optic (resource name) that this replica works on, or None.
        find_token: the bearer token of an optic, or None.
        allowed: the networks from which publishers may come.
    """

    def __init__(self, find_source: SourceFinder, find_token: TokenFinder, allowed: Sequence[networks.Network]) -> None:
        self._find_source = find_source
        self._find_token = find_token
        self._allowed = allowed
        # aiortc writes about every picture that does not decode: one publisher of noise would fill the log.
        logging.getLogger("aiortc.rtcrtpreceiver").setLevel(logging.ERROR)
        if any(network.is_loopback for network in allowed):
            offer_loopback()
        self._sessions: dict[str, tuple[str, WhipSession]] = {}

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=MAX_OFFER_BYTES)
        application.router.add_post("/whip/{device}/{optic}", self._publish)
        application.router.add_delete("/whip/{device}/{optic}/{session}", self._end)
        application.router.add_options("/whip/{device}/{optic}", self._options)
        application.on_shutdown.append(self._shutdown)
        return application

    async def _publish(self, request: web.Request) -> web.Response:
        optic = self._authorise(request)
        if request.content_type != "application/sdp":
            raise web.HTTPUnsupportedMediaType(text="send an SDP offer as application/sdp")
        source = self._find_source(optic)
        if source is None:
            raise web.HTTPNotFound(text="this optic is not published here now")
        if source.taken:
            raise web.HTTPConflict(text="this optic has a publisher already")
        offer, session = await request.text(), WhipSession(self._allowed)
        try:
            answer = await session.answer(offer)
        except Exception as error:  # noqa: BLE001  # aiortc raises whatever its parser stumbles over
            await session.close()
            log.info("whip.offer_refused", optic=optic, error=type(error).__name__)
            raise web.HTTPBadRequest(text="the offer cannot be used: send H.264 or VP8 video") from None
        if not source.offer(session):
            await session.close()
            raise web.HTTPConflict(text="this optic has a publisher already")
        self._forget_ended()
        self._sessions[session.resource] = (optic, session)
        log.info("whip.session_started", optic=optic)
        location = f"{request.path}/{session.resource}"
        return web.Response(status=201, text=answer, content_type="application/sdp", headers={"Location": location})

    async def _end(self, request: web.Request) -> web.Response:
        optic = self._authorise(request)
        held = self._sessions.get(request.match_info["session"])
        if held is None or held[0] != optic:
            raise web.HTTPNotFound(text="no such session")
        del self._sessions[request.match_info["session"]]
        await held[1].close()
        log.info("whip.session_ended", optic=optic)
        return web.Response(status=200)

    async def _options(self, _: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": "application/sdp"})

    def _authorise(self, request: web.Request) -> str:
        """The optic of the request; refused without its token, whether or not the optic exists."""
        device, optic = request.match_info["device"], request.match_info["optic"]
        name = f"devices/{device}/optics/{optic}"
        if not (ID.fullmatch(device) and ID.fullmatch(optic)):
            raise web.HTTPNotFound(text="no such optic")
        if request.remote is None or not networks.is_inside(request.remote, self._allowed):
            raise web.HTTPForbidden(text="publishers come from the camera networks")
        expected = self._find_token(name)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        # Compared even where no token is expected, so that the time tells nothing.
        equal = hmac.compare_digest((expected or "").encode(), token.strip().encode())
        if expected is None or scheme.lower() != "bearer" or not equal:
            raise web.HTTPUnauthorized(text="unauthorised", headers={"WWW-Authenticate": "Bearer"})
        return name

    def _forget_ended(self) -> None:
        self._sessions = {key: held for key, held in self._sessions.items() if not held[1].ended.is_set()}

    async def _shutdown(self, _: web.Application) -> None:
        await asyncio.gather(*(session.close() for _, session in self._sessions.values()))
